/** Reading what stands behind a verb. Each throws `WrongUse` with what is wrong. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { milliseconds } from '../../shared/engine/duration.ts'
import { WrongUse } from './verb.ts'

type Parsed<T extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ args: string[]; options: T; strict: true; allowPositionals: true }>>

export function readArguments<const T extends ParseArgsOptionsConfig>(args: readonly string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
  } catch (error) {
    // Node's first sentence says what is wrong, the others how to write a value that begins with a dash.
    throw new WrongUse(error instanceof Error ? (error.message.split(/\.\s/)[0] ?? '') : String(error))
  }
}

/** A whole number from 1 on; undefined where none is given. */
export function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) throw new WrongUse(`${option}: '${text}' is no whole number from 1 on`)
  return value
}

/** `2h` ago, or a time; as ISO 8601, UTC. */
export function timeOf(name: string, text: string, now: number): string {
  const ms = /^[\d.]+(?:ms|s|m|h|d)$/.test(text) ? now - milliseconds(text) : Date.parse(text)
  const at = new Date(ms)
  if (Number.isNaN(at.getTime()) || !isDay(text)) throw new WrongUse(`--${name}: '${text}' is neither a time (2026-11-22T18:00:00Z) nor how long ago (2h)`)
  // A Date keeps milliseconds: what a database knows to the microsecond is asked for to the microsecond.
  const [, beyond = ''] = /:\d\d[.,]\d{3}(\d{1,3})/.exec(text) ?? []
  return at.toISOString().replace('Z', `${beyond}Z`)
}

/** JavaScript takes the 30th of February for the 2nd of March. */
function isDay(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)/.exec(text) ?? []
  return day === undefined || new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day)
}
