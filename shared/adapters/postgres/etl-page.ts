/** A page as the source answered it → a page that silver takes: the cleaning step done where it changes anything, rejected rows apart. */
import { columnCleanerOf, isRefusal, isUnknownWord } from '../../steps/clean.ts'
import type { EtlPage, PackedColumn, PageRequest, RejectedRow } from '../../ports/etl-source.ts'
import type { EtlColumn, EtlJob } from '../../tables/etl-job.ts'
import type { Passage } from './etl-columns.ts'
import type { BytesRow } from './source-db.ts'
import { asZoned, bigintsWithout, packedOf, packTexts, unpackTexts } from './etl-packed.ts'

type Texts = readonly (string | null)[]
type Why = Pick<RejectedRow, 'code' | 'column' | 'reason'>

interface Cleaned {
  readonly raw: Texts
  readonly values: Texts
  /** Some value is another one now. */
  readonly changed: boolean
}

/** Null: a row of it is rejected, or changed beyond what its way allows: read it again with every column through the cleaning step. */
export function pageOf(job: EtlJob, request: PageRequest, passages: readonly (Passage & { readonly name: string })[], row: BytesRow): EtlPage | null {
  const careful = passages.every(({ cleaned }) => cleaned)
  if (textOf(row, 'odd') === 'true' && !careful) return null
  const rows = Number(textOf(row, 'rows'))
  const rejected = new Map<number, Why>()
  const cleaned = new Map<string, Cleaned>()
  const columns: Record<string, PackedColumn> = {}
  for (const [nth, passage] of passages.entries()) {
    const sent = packedOf(passage.type, row[`column_${nth}`])
    const packed = passage.becomes === null ? sent : asZoned(sent)
    columns[passage.name] = packed
    const spec = job.columns[passage.name]
    const opened = passage.cleaned && (passage.opens === null || textOf(row, `opens_${nth}`) !== 'false')
    if (opened && spec !== undefined) cleaned.set(passage.name, clean(passage.name, spec, unpackTexts(packed), rejected))
  }
  if (rejected.size > 0 && !careful) return null
  for (const [name, { changed, values }] of cleaned) if (changed || rejected.size > 0) columns[name] = packTexts(without(values, rejected))
  const hashes = packedOf('bigint', row['hashes'])
  return {
    rows,
    columns,
    hashes: rejected.size === 0 ? hashes : bigintsWithout(hashes, rejected),
    last: rows === 0 ? null : Array.from({ length: request.order === 'cursor' ? job.key.length + 1 : job.key.length }, (_, nth) => textOf(row, `last_${nth}`)),
    hasMore: request.limit !== null && rows >= request.limit,
    rejected: [...rejected].map(([at, why]) => ({ ...why, key: job.key.map((name) => cleaned.get(name)?.raw[at] ?? null), row: rowAt(cleaned, at) })),
    unknownWords: unknownWordsIn(job, cleaned, rejected),
  }
}

const utf8 = new TextDecoder()

function textOf(row: BytesRow, name: string): string {
  return utf8.decode(row[name] ?? undefined)
}

/** The first column that rejects a row says why. */
function clean(name: string, spec: EtlColumn, raw: Texts, rejected: Map<number, Why>): Cleaned {
  const cleaner = columnCleanerOf(spec)
  let changed = false
  const values = raw.map((text, at) => {
    const value = cleaner(text)
    if (isRefusal(value)) {
      if (!rejected.has(at)) rejected.set(at, { column: name, ...value })
      return null
    }
    if (value !== text) changed = true
    return value
  })
  return { raw, values, changed }
}

function without(values: Texts, rejected: ReadonlyMap<number, Why>): Texts {
  return rejected.size === 0 ? values : values.filter((_, at) => !rejected.has(at))
}

function rowAt(cleaned: ReadonlyMap<string, Cleaned>, at: number): string {
  return JSON.stringify(Object.fromEntries([...cleaned].map(([name, { raw }]) => [name, raw[at] ?? null])))
}

function unknownWordsIn({ columns }: EtlJob, cleaned: ReadonlyMap<string, Cleaned>, rejected: ReadonlyMap<number, Why>): number {
  let unknown = 0
  for (const [name, { values }] of cleaned) {
    const spec = columns[name]
    if (spec?.words !== undefined) unknown += values.filter((value, at) => !rejected.has(at) && isUnknownWord(spec, value)).length
  }
  return unknown
}
