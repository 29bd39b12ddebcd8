/** Whether a text is one that Postgres takes for a type, so that a bad value costs its own row and not the statement that writes a page. Pure. */
import type { ColumnType } from '../tables/table.ts'

/** `code` is stable, to count by; `reason` says what is wrong, never the value. */
export interface Refusal {
  readonly code: string
  readonly reason: string
}

/** The text as it is to be written, or why it never will be. */
export type Check = (text: string) => string | Refusal

/** Date, time of day, zone, era. */
export const TIME = /^(\d{4,7}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?( ?(?:Z|[-+]\d\d(?::?\d\d(?::?\d\d)?)?))?( BC)?$/
const TIME_OF_DAY = /^\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?$/
const NUMBER = /^[-+]?(\d*)(?:\.(\d*))?(?:e([-+]?\d+))?$/i
const NO_FINITE = /^[-+]?(?:inf(?:inity)?|nan)$/i

const BIGGEST = { smallint: 32_767n, integer: 2_147_483_647n, bigint: 9_223_372_036_854_775_807n } as const
/** Digits that a numeric has before its point, and behind it. */
const NUMERIC = { whole: 131_072, fraction: 16_383 } as const
/** The last year, and the first one BC, of which a part is left out. */
const YEARS = { timestamp: 294_276, timestamptz: 294_276, date: 5_874_897, first: 4_714, firstDay: '11-24' } as const

/** None: any text is one of the type, or nobody can tell from the text (see `isChecked`). */
export function checksOf(type: ColumnType): readonly Check[] {
  if (type === 'smallint' || type === 'integer' || type === 'bigint') return [whole(type)]
  if (type === 'real' || type === 'double precision') return [number, float(type)]
  if ((type === 'numeric' || type.startsWith('numeric(')) && !type.endsWith('[]')) return [number, numeric]
  if (type === 'timestamp' || type === 'timestamptz' || type === 'date') return [moment(type)]
  if (type === 'time') return [timeOfDay]
  if (type === 'boolean') return [flag]
  if (type === 'uuid') return [uuid]
  if (type === 'json' || type === 'jsonb') return [json(type)]
  return []
}

/** Whether any text that passes is one that the type takes. */
export function isChecked(type: ColumnType): boolean {
  return type === 'text' || type === 'citext' || type === 'enum' || checksOf(type).length > 0
}

function whole(type: keyof typeof BIGGEST): Check {
  return (text) => {
    if (!/^[-+]?\d+(?:\.0+)?$/.test(text)) return { code: 'not-a-number', reason: `it is no whole number, and the column is ${type}` }
    const plain = text.replace(/\.0+$/, '')
    const value = BigInt(plain.replace(/^\+/, ''))
    if (value > BIGGEST[type] || value < -BIGGEST[type] - 1n) return beyond(type)
    return plain
  }
}

const number: Check = (text) => {
  const [, before = '', after = ''] = NUMBER.exec(text) ?? []
  return before !== '' || after !== '' || NO_FINITE.test(text) ? text : { code: 'not-a-number', reason: 'it is no number' }
}

/** Too small to be told from zero is beyond it as well. */
function float(type: 'real' | 'double precision'): Check {
  return (text) => {
    if (NO_FINITE.test(text)) return text
    const value = type === 'real' ? Math.fround(Number(text)) : Number(text)
    const isZero = /^[-+0.]*(?:e|$)/i.test(text)
    return Number.isFinite(value) && (value !== 0 || isZero) ? text : beyond(type)
  }
}

const numeric: Check = (text) => {
  const [, before = '', after = '', exponent = '0'] = NUMBER.exec(text) ?? []
  const shift = Number(exponent)
  return before.length + shift <= NUMERIC.whole && after.length - shift <= NUMERIC.fraction ? text : beyond('numeric')
}

function moment(type: 'timestamp' | 'timestamptz' | 'date'): Check {
  return (text) => {
    if (/^-?infinity$/.test(text)) return text
    const [matched, date = '', time = '00:00', zone = '', era] = TIME.exec(text) ?? []
    if (matched === undefined || !isDay(date, era !== undefined) || !isTimeOfDay(time) || !isOffset(zone))
      return { code: 'not-a-time', reason: `it is no ${type} in ISO 8601` }
    const [year, day] = [Number(date.slice(0, -6)), date.slice(-5)]
    const fits = era === undefined ? year <= YEARS[type] : year < YEARS.first || (year === YEARS.first && day >= YEARS.firstDay)
    return fits ? text : beyond(type)
  }
}

const timeOfDay: Check = (text) =>
  TIME_OF_DAY.test(text) && isTimeOfDay(text) ? text : { code: 'not-a-time', reason: 'it is no time of day such as 03:00:00' }

function isDay(date: string, isBefore: boolean): boolean {
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number)
  // Leap years repeat after 400, and a Date takes years below 100 for those of a century ago.
  const alike = ((isBefore ? 1 - year : year) % 400) + 2_000
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(alike, month, 0)).getUTCDate()
}

/** Postgres takes 24:00:00, and a second 60. */
function isTimeOfDay(time: string): boolean {
  const [hour = 0, minute = 0, second = 0] = time.split(':').map(Number)
  return minute <= 59 && second <= 60 && (hour <= 23 || (hour === 24 && minute === 0 && second === 0))
}

function isOffset(zone: string): boolean {
  const [hour = 0, minute = 0, second = 0] = (zone.match(/\d\d/g) ?? []).map(Number)
  return hour <= 15 && minute <= 59 && second <= 59
}

const flag: Check = (text) =>
  /^(?:t|true|1|yes|on)$/i.test(text) ? 't' : /^(?:f|false|0|no|off)$/i.test(text) ? 'f' : { code: 'not-a-boolean', reason: 'it is neither true nor false' }

const uuid: Check = (text) => (/^[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i.test(text) ? text : { code: 'not-a-uuid', reason: 'it is no UUID' })

/** What jsonb can't keep: a zero character, and half of a surrogate pair. Written anew they are escapes, and nothing else of that look is. */
const NO_JSONB = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

function json(type: 'json' | 'jsonb'): Check {
  return (text) => {
    try {
      const value: unknown = JSON.parse(text)
      if (type === 'json' || !text.includes('\\u') || !NO_JSONB.test(JSON.stringify(value))) return text
    } catch {
      return { code: 'not-json', reason: 'it is no JSON' }
    }
    return { code: 'not-jsonb', reason: "it holds a character that jsonb can't keep" }
  }
}

function beyond(type: string): Refusal {
  return { code: 'out-of-range', reason: `it is beyond what ${type} holds` }
}
