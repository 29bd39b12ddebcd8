import { Fault } from '../local/fault.ts'

/**
 * Looks at a job that goes on whoever watches it: while the Worker does not answer (it may be starting again) the job is taken as it was seen last, and
 * that is said once. How long that is borne is the caller's. What the Worker declines is thrown.
 */
export function patient(say: (line: string) => void): <T>(look: () => Promise<T>, last: T) => Promise<T> {
  let told = false
  return async (look, last) => {
    try {
      const found = await look()
      told = false
      return found
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      if (!told) say(`${error.message}; waiting for it`)
      told = true
      return last
    }
  }
}
