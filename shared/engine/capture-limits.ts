import type { BudgetLimits, CpuCost } from './budget.ts'

/** The figures capture runs by. Times in milliseconds. */
export interface CaptureLimits {
  readonly leaseMs: number
  /** How long the database holds back an empty answer. Below `leaseMs`. */
  readonly waitMs: number
  /** The least time from one look to the next while rows trickle in: each costs three calls, whether it finds one row or fifty. */
  readonly paceMs: number
  /** How long capture stays after the last row. */
  readonly lingerMs: number
  /** How long a successor waits for the shard that it was promised: longer than its predecessor's slowest request to Kafka with its retries. */
  readonly takeOverMs: number
  readonly maxRows: number
  readonly maxBytes: number
  /** What one request to Kafka carries, about. */
  readonly sendBytes: number
  /** What the topic takes in one message: `pipeline.topics.maxMessageBytes`. */
  readonly maxMessageBytes: number
  readonly attempts: number
  readonly retryBaseMs: number
  readonly retryMaxMs: number
}

export function captureLimits(topics: { readonly maxMessageBytes: number }): CaptureLimits {
  return {
    leaseMs: 3_000,
    waitMs: 250,
    paceMs: 6,
    lingerMs: 1_000,
    takeOverMs: 45_000,
    maxRows: 1_000,
    maxBytes: 4 * 1024 * 1024,
    sendBytes: 1_000_000,
    maxMessageBytes: topics.maxMessageBytes,
    attempts: 5,
    retryBaseMs: 200,
    retryMaxMs: 2_000,
  }
}

/** Of Supabase's 2 s of CPU and 150 s of wall time an isolate. A fresh isolate is up and connected well before the hard limits. */
export const captureBudget: BudgetLimits = { softWallMs: 100_000, hardWallMs: 140_000, softCpuMs: 1_200, hardCpuMs: 1_800 }

/**
 * Measured in Deno 2.9 on a 2-core machine under load, with batches of 1 to 1 000 rows and rows of 0.5 to 500 KB: 0.45 to
 * 0.6 ms a call, 8 µs a row and 8 µs a kibibyte. Here with a third on top, since the cloud's cores may be slower.
 */
export const cpuCost: CpuCost = { start: 150, call: 0.75, row: 0.011, kibibyte: 0.011 }
