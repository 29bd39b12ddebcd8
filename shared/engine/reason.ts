import { isAfluenteError } from './errors.ts'

/** An error as a log line may hold it: this project's own with code and message, anybody else's by name alone, since its message may hold anything. */
export function reasonOf(error: unknown): string {
  if (isAfluenteError(error)) return `${error.kind} ${error.code}: ${error.message}`
  return error instanceof Error ? error.name : typeof error
}
