/** What a job's rows are made of, as one short text: when it changes, what is in silver was made otherwise. */
import type { EtlJob } from '../tables/etl-job.ts'

/**
 * 64 bits in hexadecimal, of what decides how a row looks: the relation or query, key, cursor, columns, types and cleaning. Schedules, page sizes and
 * the like may change without a backfill. The order of columns doesn't count.
 */
export async function definitionHash({ columns, cursor, deletes, into, key, source }: EtlJob): Promise<string> {
  const parts = Object.entries(columns)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { between = null, clean = [], type, words = null }]) => [name, type, [...clean].toSorted(), between, words])
  const text = JSON.stringify([source.database, 'query' in source ? { query: source.query } : source.relation, key, cursor, into, deletes === 'ignore', parts])
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
  return [...digest.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
