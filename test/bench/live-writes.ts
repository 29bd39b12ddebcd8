/** Single-row transactions at a steady rate, as a web application writes, each timed by who waits for it. */
import { Worker } from 'node:worker_threads'
import type { LiveWrites, LiveWritesOf } from './live-writer.ts'

/** Updates rows of a mark, by turns, in a thread of its own: what else this process does makes no writer wait. Goes on until it is stopped. */
export function writeLive(of: LiveWritesOf): { stop(): Promise<LiveWrites> } {
  const thread = new Worker(new URL('live-writer.ts', import.meta.url), { workerData: of })
  const written = new Promise<LiveWrites>((resolve, reject) => {
    thread.once('message', resolve)
    thread.once('error', reject)
  })
  written.catch(() => undefined)
  return {
    stop: () => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
      thread.postMessage('stop')
      return written
    },
  }
}
