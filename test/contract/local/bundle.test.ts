import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { bundleWorker } from '../../../infra/local/worker/bundle.ts'

let root = ''
const made: string[] = []
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'afluente-worker-'))
  writeFileSync(
    join(root, 'wrangler.toml'),
    'name = "small"\nmain = "functions/worker.ts"\ncompatibility_date = "2026-11-01"\n[triggers]\ncrons = ["*/5 * * * *"]\n',
  )
  mkdirSync(join(root, 'functions'))
  writeFileSync(join(root, 'functions/worker.ts'), 'export default { fetch: () => new Response("small") }\n')
})
afterEach(() => {
  for (const folder of [root, ...made.splice(0)]) rmSync(folder, { recursive: true, force: true })
})

const bundle = async () => {
  const result = await bundleWorker({ root, env: process.env })
  made.push(result.folder)
  return result
}

it('is made once of the same sources, and anew when one of them changes', async () => {
  const first = await bundle()
  expect(first.manifest).toMatchObject({ name: 'small', main: 'worker.js', crons: ['*/5 * * * *'] })
  expect(existsSync(join(first.folder, 'worker.js'))).toBe(true)
  expect((await bundle()).folder).toBe(first.folder)
  writeFileSync(join(root, 'functions/other.ts'), 'export const other = 1\n')
  expect((await bundle()).folder).not.toBe(first.folder)
})

it('does not keep what an interrupted wrangler left: nothing, without an error', async () => {
  await expect(bundleWorker({ root, env: process.env, build: async () => undefined })).rejects.toThrow('wrangler left no worker.js')
  expect(existsSync(join((await bundle()).folder, 'worker.js'))).toBe(true)
})

it('names the file and line that can’t be bundled', async () => {
  writeFileSync(join(root, 'functions/worker.ts'), 'const one = 1\nconst one = 2\n')
  await expect(bundle()).rejects.toThrow(/The Worker can't be bundled: The symbol "one" has already been declared \(.*functions\/worker\.ts:2:6\)/)
})
