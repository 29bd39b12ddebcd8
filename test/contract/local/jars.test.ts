import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ensureJars, type JarsDeps } from '../../../infra/local/jars.ts'

let work = ''
let fetched: string[] = []
let pom = ''

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'afluente-jars-'))
  pom = join(work, 'pom.xml')
  writeFileSync(pom, '<project>1</project>')
  fetched = []
})
afterEach(() => rmSync(work, { recursive: true, force: true }))

function deps(fetch: NonNullable<JarsDeps['fetch']> = putJar): JarsDeps {
  return { cache: join(work, 'cache'), env: {}, report: () => undefined, now: () => performance.now(), signal: new AbortController().signal, fetch }
}

async function putJar(_pom: string, folder: string): Promise<void> {
  fetched.push(folder)
  mkdirSync(join(folder, 'lib'))
  writeFileSync(join(folder, 'lib/a.jar'), 'a')
  await new Promise(setImmediate)
}

const jars = () => ({ name: 'kafka', version: '4.1.0', pom })

it('downloads once, also for two clones that ask at the same time', async () => {
  const folders = await Promise.all([ensureJars(jars(), deps()), ensureJars(jars(), deps()), ensureJars(jars(), deps())])
  expect(new Set(folders).size).toBe(1)
  expect(await ensureJars(jars(), deps())).toBe(folders[0])
  expect(fetched).toHaveLength(1)
  expect(readFileSync(join(folders[0] ?? '', 'lib/a.jar'), 'utf8')).toBe('a')
})

it('shows nothing half-made: a download that fails leaves no folder, and the next one succeeds', async () => {
  const broken = async (from: string, folder: string): Promise<void> => {
    await putJar(from, folder)
    throw new Error('the network went away')
  }
  await expect(ensureJars(jars(), deps(broken))).rejects.toThrow('the network went away')
  expect(readdirSync(join(work, 'cache'))).toEqual([])
  expect(existsSync(join(await ensureJars(jars(), deps()), 'lib/a.jar'))).toBe(true)
})

it('takes over the lock of a download that was killed', async () => {
  mkdirSync(join(work, 'cache'))
  writeFileSync(join(work, 'cache/download.lock'), JSON.stringify({ pid: 1, identity: 'an earlier boot' }))
  await ensureJars(jars(), deps())
  expect(fetched).toHaveLength(1)
})

it('makes a new folder when the list of jars has changed', async () => {
  const first = await ensureJars(jars(), deps())
  writeFileSync(pom, '<project>2</project>')
  expect(await ensureJars(jars(), deps())).not.toBe(first)
})
