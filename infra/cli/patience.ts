import { Away } from './worker-api.ts'

/**
 * Looks at a job that goes on whoever watches it: while the Worker is away the job is taken as it was seen last, and
 * that is said once. How long that is borne is the caller's. Anything else is thrown.
 */
export function patient(say: (line: string) => void): <T>(look: () => Promise<T>, last: T) => Promise<T> {
  let told = false
  return async (look, last) => {
    try {
      const found = await look()
      told = false
      return found
    } catch (error) {
      if (!(error instanceof Away)) throw error
      if (!told) say(`${error.message}; waiting for it`)
      told = true
      return last
    }
  }
}
