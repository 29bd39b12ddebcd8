/**
 * kafkajs looks for requests that wait for a throttled broker by a timer, which it sets anew after every answer, with a
 * negative delay when nothing is throttled: each connection then wakes up a thousand times a second for nothing
 * (tulios/kafkajs #1704). Replaced with one that is set only while a request waits.
 */
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'

/** How soon a request looks again that waits for one under way to end. */
const LOOK_AGAIN_MS = 10

interface Queue {
  readonly pending: readonly unknown[]
  readonly throttledUntil: number
  throttleCheckTimeoutId: unknown
  checkPendingRequests(): void
}

/** Makes kafkajs's connections rest while nothing waits. Does nothing when kafkajs no longer looks as it did. */
export function installRequestTimer(): boolean {
  const prototype: unknown = typeof RequestQueue === 'function' ? RequestQueue.prototype : undefined
  if (typeof prototype !== 'object' || prototype === null || !('scheduleCheckPendingRequests' in prototype)) return false
  Reflect.set(prototype, 'scheduleCheckPendingRequests', function scheduleCheckPendingRequests(this: Queue): void {
    if (this.pending.length === 0 || (this.throttleCheckTimeoutId !== null && this.throttleCheckTimeoutId !== undefined)) return
    const throttledMs = this.throttledUntil - Date.now()
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null
        this.checkPendingRequests()
      },
      throttledMs > 0 ? throttledMs : LOOK_AGAIN_MS,
    )
  })
  return true
}
