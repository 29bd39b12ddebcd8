import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, parse } from 'node:path'
import { promisify } from 'node:util'
import * as z from 'zod'
import { Fault } from '../fault.ts'
import { repository } from '../home.ts'

const run = promisify(execFile)

const manifestSchema = z.object({
  /** File name of the entry module inside the bundle's folder. */
  main: z.string(),
  name: z.string(),
  compatibilityDate: z.string(),
  compatibilityFlags: z.array(z.string()),
  vars: z.record(z.string(), z.json()),
  durableObjects: z.array(z.object({ name: z.string(), className: z.string(), sqlite: z.boolean() })),
  hyperdrives: z.array(z.string()),
  crons: z.array(z.string()),
})

/** What wrangler.toml says of the Worker, as far as the local one needs it. */
export type Manifest = z.infer<typeof manifestSchema>

export interface Bundle {
  readonly folder: string
  readonly manifest: Manifest
}

export interface BundleOptions {
  /** Folder with wrangler.toml; its functions/ and shared/ are what the bundle is made of. */
  readonly root?: string
  readonly env: NodeJS.ProcessEnv
  /** Leaves the bundle in `outdir`. Wrangler in earnest. */
  readonly build?: (root: string, outdir: string) => Promise<void>
}

/**
 * The Worker as `wrangler deploy` would upload it, made anew only when something it is made of has changed.
 * Kept by the hash of its sources beside node_modules, so that several stacks of one clone share it.
 */
export async function bundleWorker({ root = repository, env, build = (from, to) => wrangler(from, to, env) }: BundleOptions): Promise<Bundle> {
  const cache = join(repository, 'node_modules/.cache/afluente')
  const folder = join(cache, `worker-${fingerprint(root)}`)
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true })
    const work = mkdtempSync(join(cache, '.worker-'))
    try {
      await build(root, work)
      const manifest = await readManifest(root)
      // Wrangler that was interrupted ends well and has written nothing.
      if (!existsSync(join(work, manifest.main))) throw new Fault(`The Worker can't be bundled: wrangler left no ${manifest.main}`, 'Start again')
      writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest))
      forgetOld(cache)
      renameSync(work, folder)
    } catch (error) {
      if (!existsSync(folder)) throw error
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')))
  return { folder, manifest }
}

async function wrangler(root: string, outdir: string, env: NodeJS.ProcessEnv): Promise<void> {
  const bin = join(repository, 'node_modules/wrangler/bin/wrangler.js')
  const quiet = { ...env, CI: '1', NO_COLOR: '1', WRANGLER_SEND_METRICS: 'false', WRANGLER_HIDE_BANNER: 'true' }
  try {
    await run(process.execPath, [bin, 'deploy', '--dry-run', '--outdir', outdir, '--config', join(root, 'wrangler.toml')], {
      cwd: root,
      env: quiet,
      maxBuffer: 16 * 1024 * 1024,
    })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
    throw new Fault(
      `The Worker can't be bundled: ${reasonOf(said)}`,
      'Mend that file (`npx wrangler deploy --dry-run --outdir dist` says more), then start again',
      { cause: error },
    )
  }
}

/** The bundler's own lines, without colours and without wrangler's words around them. */
function reasonOf(said: string): string {
  const lines = said
    .replaceAll(/\u001B\[[0-9;]*m/g, '')
    .split('\n')
    .map((line) => line.trim())
  const errors = lines.filter((line) => line.includes('[ERROR]') && !line.includes('Build failed'))
  const place = lines.find((line) => /^\S+:\d+:\d+:$/.test(line))
  const reason = errors.map((line) => line.replace(/^.*\[ERROR\]\s*/, '')).join('; ') || (lines.find((line) => line !== '') ?? 'no reason given')
  return place === undefined ? reason : `${reason} (${place.replace(/:$/, '')})`
}

/** The part of wrangler's own reading of wrangler.toml that is used here. */
const configSchema = z.object({
  main: z.string(),
  name: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()).default([]),
  vars: z.record(z.string(), z.json()).default({}),
  migrations: z.array(z.object({ new_sqlite_classes: z.array(z.string()).default([]) })).default([]),
  durable_objects: z.object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })) }),
  hyperdrive: z.array(z.object({ binding: z.string() })).default([]),
  triggers: z.object({ crons: z.array(z.string()).default([]) }),
})

async function readManifest(root: string): Promise<Manifest> {
  const { unstable_readConfig } = await import('wrangler')
  const config = configSchema.parse(unstable_readConfig({ config: join(root, 'wrangler.toml') }))
  const sqlite = new Set(config.migrations.flatMap((migration) => migration.new_sqlite_classes))
  return {
    main: `${parse(config.main).name}.js`,
    name: config.name,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    vars: config.vars,
    durableObjects: config.durable_objects.bindings.map(({ name, class_name }) => ({ name, className: class_name, sqlite: sqlite.has(class_name) })),
    hyperdrives: config.hyperdrive.map(({ binding }) => binding),
    crons: config.triggers.crons,
  }
}

function fingerprint(root: string): string {
  const hash = createHash('sha256')
  const files = ['wrangler.toml', 'package-lock.json', ...['functions', 'shared'].flatMap((folder) => listed(root, folder))]
  // How the bundle is made counts as well.
  hash.update(readFileSync(import.meta.filename))
  for (const file of files.toSorted()) {
    const path = join(root, file)
    if (existsSync(path)) hash.update(`${file}\0`).update(readFileSync(path))
  }
  return hash.digest('hex').slice(0, 16)
}

function listed(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
}

const keepMs = 24 * 3_600_000

/** Bundles of a day ago and more, half-made ones too. A running Worker has read its bundle already. */
function forgetOld(cache: string): void {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name)
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
    if (/^\.?worker-/.test(name) && Date.now() - made > keepMs) rmSync(path, { recursive: true, force: true })
  }
}
