import type { BudgetLimits, CpuCost } from './budget.ts'

/** The figures capture runs by. Times in milliseconds. */
export interface CaptureLimits {
  readonly leaseMs: number
  /** How long the database holds back an empty answer. Below `leaseMs`. */
  readonly waitMs: number
  /** How long capture stays after the last row. */
  readonly lingerMs: number
  /** How long a successor waits for the shard that it was promised. */
  readonly takeOverMs: number
  readonly maxRows: number
  readonly maxBytes: number
  /** What one request to Kafka carries, about. */
  readonly sendBytes: number
  /** What the topic takes in one message: `pipeline.topics.maxMessageBytes`. */
  readonly maxMessageBytes: number
  /** After so many batches in a row, capture drains and reads from the bottom, where a lower version may have been committed late. */
  readonly bottomEvery: number
  readonly attempts: number
  readonly retryBaseMs: number
  readonly retryMaxMs: number
}

export function captureLimits(topics: { readonly maxMessageBytes: number }): CaptureLimits {
  return {
    leaseMs: 3_000,
    waitMs: 250,
    lingerMs: 1_000,
    takeOverMs: 5_000,
    maxRows: 1_000,
    maxBytes: 4 * 1024 * 1024,
    sendBytes: 1_000_000,
    maxMessageBytes: topics.maxMessageBytes,
    bottomEvery: 16,
    attempts: 5,
    retryBaseMs: 200,
    retryMaxMs: 2_000,
  }
}

/** Of Supabase's 2 s of CPU and 150 s of wall time an isolate. A fresh isolate is up and connected well before the hard limits. */
export const captureBudget: BudgetLimits = { softWallMs: 100_000, hardWallMs: 140_000, softCpuMs: 1_200, hardCpuMs: 1_800 }

export const cpuCost: CpuCost = { start: 100, call: 1, row: 0.03, kibibyte: 0.01 }
