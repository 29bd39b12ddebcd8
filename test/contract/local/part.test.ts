import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Fault } from '../../../infra/local/fault.ts'
import { createPart, type Part, type Recipe } from '../../../infra/local/part.ts'
import { identify } from '../../../infra/local/process-identity.ts'
import { eventually } from '../../support/poll.ts'

let work = ''
let part: Part | undefined
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'afluente-part-'))
})
afterEach(async () => {
  await part?.stop()
  rmSync(work, { recursive: true, force: true })
})

/** A process that says in a file that it runs. */
function recipe(script: string, more: Partial<Recipe> = {}): Recipe {
  return {
    name: 'thing',
    command: () => ({ file: process.execPath, args: ['-e', script], cwd: work, env: { PATH: process.env['PATH'] } }),
    ready: async () => readFileSync(join(work, 'ready'), 'utf8') !== '',
    readyWithinMs: 10_000,
    stopSignal: 'SIGTERM',
    stopWithinMs: 5_000,
    ...more,
  }
}
const runs = `require('fs').writeFileSync('ready', String(process.pid)); setInterval(() => {}, 1000);`
const make = (script: string, more?: Partial<Recipe>): Part => (part = createPart(recipe(script, more), { logFile: join(work, 'log') }))

describe('a part', () => {
  it('is started, stopped and started again', async () => {
    const thing = make(runs)
    await thing.start()
    expect(thing.state).toBe('running')
    const first = thing.pid
    await thing.start()
    expect(thing.pid).toBe(first)
    await thing.stop()
    expect([thing.state, thing.pid]).toEqual(['stopped', undefined])
    await thing.start()
    expect(thing.pid).not.toBe(first)
  })

  it('is dead after a kill, with everything that it had started', async () => {
    const thing = make(
      `const c = require('child_process').spawn('sleep', ['1000']); require('fs').writeFileSync('ready', String(c.pid)); setInterval(() => {}, 1000)`,
    )
    await thing.start()
    const grandchild = Number(readFileSync(join(work, 'ready'), 'utf8'))
    expect(identify(grandchild)).toBeDefined()
    await thing.kill()
    expect([thing.state, thing.pid]).toEqual(['dead', undefined])
    await eventually('the grandchild is gone', () => identify(grandchild) === undefined)
  })

  it('that somebody else kills takes along what it had started', async () => {
    const thing = make(
      `const c = require('child_process').spawn('sleep', ['1000']); require('fs').writeFileSync('ready', String(c.pid)); setInterval(() => {}, 1000)`,
    )
    await thing.start()
    const grandchild = Number(readFileSync(join(work, 'ready'), 'utf8'))
    process.kill(thing.pid ?? 0, 'SIGKILL')
    await eventually('the part is dead', () => thing.state === 'dead')
    await eventually('the grandchild is gone', () => identify(grandchild) === undefined)
  })

  it('that does not heed the polite signal is killed after its time', async () => {
    const thing = make(`process.on('SIGTERM', () => {}); ${runs}`, { stopWithinMs: 150 })
    await thing.start()
    await thing.stop()
    expect(thing.state).toBe('stopped')
  })

  it('that ends while it starts gives its own reason', async () => {
    const thing = make(`console.error('a word before'); console.error('FATAL: the data directory is full'); process.exit(1)`)
    await expect(thing.start()).rejects.toThrow('thing ended while it started: FATAL: the data directory is full')
    expect(thing.state).toBe('dead')
  })

  it('turns a reason it knows into what to do', async () => {
    const explain = (log: string): Fault | undefined => (log.includes('old data') ? new Fault('The data are old', 'Run npm run reset') : undefined)
    await expect(make(`console.error('old data'); process.exit(1)`, { explain }).start()).rejects.toThrow('The data are old')
  })

  it('that never answers is given up and leaves no process', async () => {
    const thing = make('setInterval(() => {}, 1000)', { readyWithinMs: 200 })
    await expect(thing.start()).rejects.toThrow('thing did not answer within 0.2 s')
    expect(thing.pid).toBeUndefined()
  })

  it('can be stopped while it starts', async () => {
    const thing = make('setInterval(() => {}, 1000)')
    const outcome = thing.start().catch((error: unknown) => String(error))
    await eventually('it has a process', () => thing.pid !== undefined)
    await thing.stop()
    expect(await outcome).toContain('thing was stopped while it started')
    expect(thing.pid).toBeUndefined()
  })
})
