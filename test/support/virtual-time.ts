/** Runs programs that wait on a memory clock: whenever all of them sleep, time jumps to the end of the next sleep. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { MemoryClock } from '../../shared/adapters/memory/clock.ts'

/** Lets everything that is ready run until `done`. False when `withinMs` of the clock's time pass first, or when nobody sleeps any more. */
export async function drive(clock: MemoryClock, done: () => boolean, withinMs: number): Promise<boolean> {
  const deadline = clock.now() + withinMs
  for (;;) {
    await nextTurn()
    if (done()) return true
    if (clock.now() >= deadline || !clock.next()) return false
  }
}
