import { isAfluenteError } from '../../shared/engine/errors.ts'

/**
 * Something a person can mend: `message` is one line that says what is wrong, `advice` what to do next.
 * Printed without a stack trace; everything else that is thrown is a defect and keeps its trace.
 */
export class Fault extends Error {
  readonly advice: string

  constructor(message: string, advice: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Fault'
    this.advice = advice
  }
}

/** The text for what a person can mend, the whole trace for anything else. */
export function describe(error: unknown): string {
  if (error instanceof Fault) return `${error.message}. ${error.advice}`
  if (isAfluenteError(error)) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
