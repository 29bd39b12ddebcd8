/** How each column of a job travels from its source to silver: as it is, or as text that the cleaning step has seen. */
import { isCleaned } from '../../steps/clean.ts'
import { isChecked } from '../../steps/fitting.ts'
import type { EtlColumn } from '../../tables/etl-job.ts'
import { silverType } from '../../mappings/column-types.ts'

/** One column of a page query. `c` is the column's name there. */
export interface Passage {
  /** What the source selects. */
  readonly select: string
  /** The type of the array that it is sent in. */
  readonly type: string
  /** Goes through the cleaning step, value by value. */
  readonly cleaned: boolean
  /** A condition on the source's value without which the cleaning would change nothing: a page where it holds for no value is passed on unopened. Null: always opened. */
  readonly opens: string | null
  /** The type that the array is relabelled to, where both have the same bytes. */
  readonly becomes: 'timestamp with time zone' | null
  /** A condition on the source's value under which the cleaning would change or reject it; null: never. The page is then read again with every column cleaned. */
  readonly odd: string | null
}

const RANK: Readonly<Record<string, number>> = { smallint: 1, integer: 2, bigint: 3 }
const FLOATS = ['real', 'double precision']
const TIMES = ['timestamp without time zone', 'timestamp with time zone']
/** Types whose text is what they are, and for which the cleaning's type check says nothing. */
const TEXTS = ['text', 'character varying', 'character', 'name', 'citext']
const AS_THEY_ARE = ['boolean', 'uuid', 'date', 'numeric', 'jsonb']

/** Every column as text through the cleaning step: exact for whatever the source holds. */
export function cleanedPassage(column: string): Passage {
  return { select: `${column}::text`, type: 'text', cleaned: true, opens: null, becomes: null, odd: null }
}

/** The cheapest way that gives the same rows as `cleanedPassage`; `sourceType` as `regtype` prints it. */
export function passageOf(column: string, spec: EtlColumn, sourceType: string): Passage {
  const target = silverType(spec.type)
  const has = (name: NonNullable<EtlColumn['clean']>[number]) => spec.clean?.includes(name) === true
  const only = (...names: NonNullable<EtlColumn['clean']>) => (spec.clean ?? []).every((name) => names.includes(name))
  const direct = (odd: readonly string[] = []): Passage => ({
    select: column,
    type: sourceType,
    cleaned: false,
    opens: null,
    // A time without a zone is UTC; both count microseconds from the same moment.
    becomes: sourceType === 'timestamp without time zone' && target === 'timestamptz' ? 'timestamp with time zone' : null,
    odd: odd.length === 0 ? null : odd.join(' or '),
  })
  const cleaned = cleanedPassage(column)
  if (spec.words !== undefined) return cleaned
  const outside = spec.between === undefined ? [] : [`${column} not between ${spec.between[0]} and ${spec.between[1]}`]

  const from = RANK[sourceType]
  const to = RANK[target]
  if (from !== undefined && to !== undefined) return from <= to && only() ? direct(outside) : cleaned
  if (FLOATS.includes(sourceType)) {
    if (sourceType !== target || !only('nan-to-null', 'infinity-to-null')) return cleaned
    const odd = [...(has('nan-to-null') ? [`${column} = 'NaN'`] : []), ...(has('infinity-to-null') ? [`${column} in ('Infinity', '-Infinity')`] : [])]
    return direct([...outside, ...odd])
  }
  if (TIMES.includes(sourceType)) {
    const zoned = sourceType === 'timestamp with time zone'
    const fits = target === 'timestamptz' ? zoned || has('utc') : !zoned
    return (target === 'timestamptz' || target === 'timestamp') && fits && only('utc', 'infinity-to-null') && spec.between === undefined
      ? direct(has('infinity-to-null') ? [`not isfinite(${column})`] : [])
      : cleaned
  }
  if (target === 'text' && TEXTS.includes(sourceType) && spec.between === undefined && only('trim', 'blank-to-null'))
    return { ...cleaned, opens: edged(column) }
  if (isCleaned(spec)) return cleaned
  if (sourceType === target && AS_THEY_ARE.includes(sourceType)) return direct()
  // Nothing looks at it: text on both sides, or a type without a check of its own.
  if (target === 'text' || target.endsWith('[]') || sourceType === target) return { ...cleaned, cleaned: false }
  return cleaned
}

/**
 * Text of nothing, or with an end that may be a space in some alphabet: more than trimming takes away, and never less. Letters of Latin, Greek, Cyrillic and
 * their neighbours are none; nor is a first byte from 192 on in an encoding that is not Unicode.
 */
function edged(column: string): string {
  const plain = (end: string) => `(ascii(${end}) between 33 and 126 or ascii(${end}) between 192 and 5759)`
  return `not (${plain(`${column}::text`)} and ${plain(`right(${column}::text, 1)`)})`
}

/** What silver's column is made of: `u` is the array's element. */
export function landed(column: string, { type: written }: EtlColumn, sent: string): string {
  const target = silverType(written)
  return sent === target ? `u.${column}` : `u.${column}::${target}`
}

const PLAIN = ['smallint', 'integer', 'bigint', 'boolean', 'uuid', 'date', 'time without time zone', ...TIMES]
const SENT: Readonly<Record<string, string>> = { real: 'float4send', 'double precision': 'float8send', numeric: 'numeric_send', interval: 'interval_send' }

/** A form of the value under which equal hashes mean the same value, to the last bit and digit, whatever the session's settings. */
export function hashable(column: string, sourceType: string): string {
  if (PLAIN.includes(sourceType)) return column
  const send = SENT[sourceType]
  return send === undefined ? `${column}::text collate "C"` : `${send}(${column})`
}

/** Why a source's type doesn't do for a column; null: it does. */
export function judgeType(sourceType: string, spec: EtlColumn): string | null {
  if (!canBecome(sourceType, spec)) return `can't become ${spec.type}`
  return lacksZone(sourceType, spec) ? `has no zone: add 'utc' to its cleaning` : null
}

/** Whether values of this type can become the column's at all; one by one they may still be rejected. */
function canBecome(sourceType: string, spec: EtlColumn): boolean {
  const target = silverType(spec.type)
  if (target === 'text' || sourceType === target) return true
  // Of a text that nobody checks one bad value would stop its page.
  if (TEXTS.includes(sourceType)) return isChecked(spec.type)
  if (target.endsWith('[]')) return sourceType.endsWith('[]') && arrayFits(sourceType.slice(0, -2), target.slice(0, -2))
  const numbers = ['smallint', 'integer', 'bigint', 'numeric', ...FLOATS]
  if (numbers.includes(target) || target.startsWith('numeric')) return numbers.includes(sourceType)
  if (target === 'boolean') return ['smallint', 'integer', 'bigint'].includes(sourceType)
  if (target === 'timestamptz' || target === 'timestamp') return [...TIMES, 'date'].includes(sourceType)
  if (target === 'jsonb' || target === 'json') return ['json', 'jsonb'].includes(sourceType)
  if (target === 'time') return sourceType === 'time without time zone'
  return false
}

function arrayFits(from: string, to: string): boolean {
  return to === 'text' || (RANK[from] ?? Infinity) <= (RANK[to] ?? 0)
}

/** A time without a zone that becomes one with it, and nobody says in which zone it is. */
function lacksZone(sourceType: string, spec: EtlColumn): boolean {
  return silverType(spec.type) === 'timestamptz' && sourceType === 'timestamp without time zone' && spec.clean?.includes('utc') !== true
}
