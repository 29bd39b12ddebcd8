import { isAfluenteError } from './errors.ts'

/** An error as a log line may hold it: this project's own with code and message, anybody else's by name alone, since its message may hold anything. */
export function reasonOf(error: unknown): string {
  return isAfluenteError(error) ? `${error.kind} ${error.code}: ${error.message}` : unexpected(error)
}

/** An error in words for people. Our own messages hold no values; a stranger's may, so only its name and place are told. */
export function explain(error: unknown): string {
  return isAfluenteError(error) ? error.message : unexpected(error)
}

/** What fits in a line of a list. */
export function firstLine(text: string): string {
  const [first = ''] = text.split('\n', 1)
  return first
}

/** Stable and short, to count by. */
export function codeOf(error: unknown): string {
  if (isAfluenteError(error)) return error.code
  return error instanceof Error ? error.name : 'unknown'
}

/** Where in the program it was thrown: functions, files and lines, and no message. */
export function placeOf(error: unknown): string | null {
  const frames = error instanceof Error ? (error.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? []) : []
  return frames.length === 0 ? null : frames.slice(0, 10).join('\n')
}

function unexpected(error: unknown): string {
  if (!(error instanceof Error)) return `An unexpected ${typeof error} was thrown.`
  const frame = error.stack?.split('\n').find((line) => line.startsWith('    at '))
  return `An unexpected ${error.name}${frame === undefined ? '' : ` ${frame.trim()}`}.`
}
