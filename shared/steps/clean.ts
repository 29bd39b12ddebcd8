/** Raw text of a source → text that fits its column in silver, or the reason why it never will. Pure. */
import type { EtlColumn, EtlColumns } from '../tables/etl-job.ts'
import { checksOf, type Refusal, TIME } from './fitting.ts'

/** A value as the source printed it; null is NULL. */
export type RawRow = Readonly<Record<string, string | null | undefined>>

export type Cleaned =
  /** `values` in the order of the columns; `unknown`: how many numbers had no word. */
  | { readonly ok: true; readonly values: readonly (string | null)[]; readonly unknown: number }
  /** `code` is stable, to count by; `reason` says what is wrong, never the value. */
  | { readonly ok: false; readonly column: string; readonly code: string; readonly reason: string }

type Step = (text: string) => string | null | Refusal

/** What becomes of one value: the text that its column takes (null is NULL), or why it never will. */
export type CleanedValue = string | null | Refusal

/** A cleaner for the values of one column. */
export function columnCleanerOf(column: EtlColumn): (value: string | null) => CleanedValue {
  const steps = stepsOf(column)
  return (given) => {
    let value = given
    for (const step of steps) {
      if (value === null) break
      const next: CleanedValue = step(value)
      if (isRefusal(next)) return next
      value = next
    }
    return value
  }
}

export function isRefusal(cleaned: CleanedValue): cleaned is Refusal {
  return cleaned !== null && typeof cleaned === 'object'
}

/** A number that has no word, kept as `unknown(7)`. */
export function isUnknownWord({ words }: EtlColumn, cleaned: string | null): boolean {
  return words !== undefined && cleaned?.startsWith('unknown(') === true
}

/** Whether a column asks for more than that its type is met. */
export function isCleaned({ between, clean = [], words }: EtlColumn): boolean {
  return between !== undefined || clean.length > 0 || words !== undefined
}

/** A cleaner for rows of these columns, made once and used for every row. */
export function cleanerOf(columns: EtlColumns): (row: RawRow) => Cleaned {
  const cleaners = Object.entries(columns).map(([name, column]) => ({ name, column, clean: columnCleanerOf(column) }))
  return (row) => {
    const values: (string | null)[] = []
    let unknown = 0
    for (const { clean, column, name } of cleaners) {
      const value = clean(row[name] ?? null)
      if (isRefusal(value)) return { ok: false, column: name, ...value }
      if (isUnknownWord(column, value)) unknown += 1
      values.push(value)
    }
    return { ok: true, values, unknown }
  }
}

function stepsOf({ type, clean = [], between, words }: EtlColumn): readonly Step[] {
  const has = (name: (typeof clean)[number]) => clean.includes(name)
  return [
    ...(has('trim') ? [(text: string) => text.trim()] : []),
    ...(has('blank-to-null') ? [blankToNull] : []),
    ...(has('nan-to-null') ? [nanToNull] : []),
    ...(has('infinity-to-null') ? [infinityToNull] : []),
    ...(has('email') ? [email] : []),
    ...(has('phone') ? [phone] : []),
    ...(words === undefined ? [] : [wordOf(words)]),
    ...(has('utc') ? [asUtc] : []),
    ...checksOf(type),
    ...(between === undefined ? [] : [within(between)]),
  ]
}

const blankToNull: Step = (text) => (text.trim() === '' ? null : text)
const nanToNull: Step = (text) => (/^\s*(?:nan|nat|none|null)\s*$/i.test(text) ? null : text)
const infinityToNull: Step = (text) => (/^\s*[-+]?inf(?:inity)?\s*$/i.test(text) ? null : text)
const email: Step = (text) => text.trim().toLowerCase()

/** `+` and digits. Text without a digit is no phone, and is kept as it is. */
const phone: Step = (text) => {
  const digits = text.replaceAll(/\D/g, '')
  if (digits === '') return text.trim()
  return /^\s*(?:\+|00)/.test(text) ? `+${digits.replace(/^00/, '')}` : digits
}

function wordOf(words: readonly string[]): Step {
  return (text) => (/^-?\d+$/.test(text) ? (words[Number(text)] ?? `unknown(${text})`) : text)
}

const asUtc: Step = (text) => {
  const [, date, time = '00:00:00', zone, era = ''] = TIME.exec(text) ?? []
  return date === undefined || zone !== undefined ? text : `${date} ${time}+00${era}`
}

function within([least, most]: readonly [number, number]): Step {
  return (text) => {
    const value = Number(text)
    return value >= least && value <= most ? text : { code: 'out-of-range', reason: `it is not between ${least} and ${most}` }
  }
}
