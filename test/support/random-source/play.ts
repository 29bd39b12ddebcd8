/** Plays a script: step by step in one thread, so that it can be played again, or all sessions at once. */
import type { Readers } from './readers.ts'
import type { Random } from './random.ts'
import type { Step } from './script.ts'
import type { Session } from '../source.ts'

export interface PlayDeps {
  readonly sessions: readonly Session[]
  readonly readers: Readers
  readonly random: Random
  /** What was done and how it ended, in order. */
  readonly note: (line: string) => void
}

/** Whoever has to wait for a lock gives up at once, so nothing hangs on who is faster. */
export async function playInTurns({ sessions, readers, random, note }: PlayDeps, steps: readonly Step[]): Promise<void> {
  await settings(sessions, `set lock_timeout = '2ms'`)
  for (const step of steps) {
    await play(sessions, step, note)
    if (random.chance(0.15)) await readers.turn()
    if (random.chance(0.02)) await readers.reshard()
  }
  await end(sessions)
}

/** With lock waits, deadlocks and serialization failures as they come. */
export async function playAtOnce({ sessions, readers, random, note }: PlayDeps, steps: readonly Step[]): Promise<void> {
  await settings(sessions, `set lock_timeout = '150ms'`)
  let writing = true
  let stepped = Promise.withResolvers<void>()
  const writers = Promise.all(
    sessions.map(async (_, session) => {
      for (const step of steps) {
        if (step.session !== session) continue
        await play(sessions, step, note)
        stepped.resolve()
      }
    }),
  ).finally(() => {
    writing = false
    stepped.resolve()
  })
  const reading = async () => {
    while (writing) {
      // Where nobody has written there is nothing to read.
      await stepped.promise
      stepped = Promise.withResolvers()
      await readers.turn()
      if (random.chance(0.02)) await readers.reshard()
    }
  }
  // Both end, whichever fails.
  const [written, read] = await Promise.allSettled([writers, reading()])
  for (const outcome of [written, read]) if (outcome.status === 'rejected') throw outcome.reason
  await end(sessions)
}

async function play(sessions: readonly Session[], { session, sql, guarded }: Step, note: (line: string) => void): Promise<void> {
  const client = sessions[session]
  if (client === undefined) throw new RangeError(`There is no session ${session}`)
  try {
    await client.run(guarded ? `savepoint guard; ${sql}; release guard` : sql)
    note(`/* ${session} */ ${sql}; -- done`)
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code === undefined) throw error
    note(`/* ${session} */ ${sql}; -- ${code} ${message.split('\n')[0] ?? ''}`)
    if (guarded) await client.run('rollback to guard; release guard').catch(() => undefined)
  }
}

async function settings(sessions: readonly Session[], sql: string): Promise<void> {
  await Promise.all(sessions.map((session) => session.run(sql)))
}

async function end(sessions: readonly Session[]): Promise<void> {
  await settings(sessions, 'rollback; reset all')
}
