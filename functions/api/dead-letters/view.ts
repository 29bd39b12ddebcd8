/** A letter as people are shown it. */
import { maskedHeaders, maskedValue } from '../../../shared/mappings/masked-record.ts'
import type { Letter, LetterSummary } from '../../../shared/ports/letters.ts'

export interface View extends LetterSummary {
  /** False: values stand as their kind and size. */
  readonly revealed: boolean
  /** Revealed: the record's text as it came. */
  readonly value: unknown
  readonly headers: Readonly<Record<string, string>>
  /** When the record was written to its topic: ISO 8601, UTC; null where that is not known. */
  readonly publishedAt: string | null
}

export function letterView({ record, ...summary }: Letter, revealed: boolean): View {
  const texts = Object.entries(record.headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value.toString()] as const]))
  return {
    ...summary,
    revealed,
    value: revealed ? record.value : maskedValue(record.value),
    headers: revealed ? Object.fromEntries(texts) : maskedHeaders(record.headers),
    publishedAt: record.timestampMs > 0 ? new Date(record.timestampMs).toISOString() : null,
  }
}
