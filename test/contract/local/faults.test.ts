import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { describe as tell, Fault } from '../../../infra/local/fault.ts'
import { ensureJars } from '../../../infra/local/jars.ts'
import { findJava, javaMajor } from '../../../infra/local/java.ts'
import { assertDiskSpace } from '../../../infra/local/machine.ts'
import { startStack } from '../../../infra/local/stack.ts'

const work = mkdtempSync(join(tmpdir(), 'afluente-faults-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

function program(name: string, text: string): string {
  const folder = mkdtempSync(join(work, 'bin-'))
  writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`)
  chmodSync(join(folder, name), 0o755)
  return folder
}

const faultOf = async (work: Promise<unknown>): Promise<string> =>
  tell(
    await work.then(
      () => 'nothing failed',
      (error: unknown) => error,
    ),
  )

describe('a machine that lacks something is told so in one line that says what to do', () => {
  it('Java', async () => {
    expect(await faultOf(findJava({ PATH: work }))).toMatch(/^Java is not installed.*Install a JDK of version 17/)
    const old = program('java', 'echo \'openjdk version "11.0.2" 2019-01-15\' >&2')
    expect(await faultOf(findJava({ PATH: `${old}:/bin:/usr/bin` }))).toMatch(/^Java 11 is too old.*Install a JDK of version 17/)
  })

  it('Maven, when the jars are not there yet', async () => {
    const pom = join(work, 'pom.xml')
    writeFileSync(pom, '<project/>')
    const deps = { cache: join(work, 'cache'), env: { PATH: work }, report: () => undefined, now: () => 0, signal: new AbortController().signal }
    expect(await faultOf(ensureJars({ name: 'kafka', version: '1', pom }, deps))).toMatch(/^Maven \(mvn\) is not installed.*apt install maven/)
  })

  it('the network, in Maven’s own words', async () => {
    const pom = join(work, 'pom.xml')
    writeFileSync(pom, '<project/>')
    const bin = program('mvn', 'echo "[ERROR] Could not transfer artifact x from central"; exit 1')
    const deps = {
      cache: join(work, 'cache2'),
      env: { PATH: `${bin}:/bin:/usr/bin` },
      report: () => undefined,
      now: () => 0,
      signal: new AbortController().signal,
    }
    expect(await faultOf(ensureJars({ name: 'kafka', version: '1', pom }, deps))).toMatch(/Could not transfer artifact x from central\. Check the network/)
  })

  it('room on the disk', () => {
    expect(() => assertDiskSpace('/data', () => 999_000_000)).toThrow(/\/data has 999 MB free; the stack wants at least 1 GB/)
    expect(() => assertDiskSpace('/data', () => 1_000_000_000)).not.toThrow()
  })

  it('a source database that is somebody’s real one', async () => {
    const env = {
      PATH: process.env['PATH'],
      SOURCE_DATABASE_URL: 'postgres://u:secret@db.example.com/postgres',
      ANALYTICS_DATABASE_URL: 'postgres://u:p@127.0.0.1:1/x',
    }
    const text = await faultOf(startStack({ home: join(work, 'home'), ports: 'free', only: ['supabase'], env }))
    expect(text).toMatch(/^SOURCE_DATABASE_URL points at db\.example\.com, and npm start changes databases on this machine only\. Take it out of \.env/)
    expect(text).not.toContain('secret')
  })
})

it.each([
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['java version "1.8.0_392"', 8],
  ['openjdk version "25" 2025-09-16', 25],
  ['command not understood', 0],
])('reads the version out of: %s', (text, major) => expect(javaMajor(text)).toBe(major))

it('keeps the trace of a defect, which is no fault of the machine', () => {
  expect(tell(new TypeError('x is undefined'))).toContain('faults.test.ts')
  expect(tell(new Fault('Kafka is down', 'Start it'))).toBe('Kafka is down. Start it')
})
