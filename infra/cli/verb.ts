/** What every verb of the command line is, and what it is given. */

export const EXIT = { well: 0, fault: 1, wrongUse: 2 } as const
export type Exit = (typeof EXIT)[keyof typeof EXIT]

export interface VerbContext {
  /** What stands behind the verb. */
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** One line for people, or the one JSON value. */
  readonly out: (line: string) => void
  /** The person in front of it, where there is one. */
  readonly seat?: Seat
}

export interface Seat {
  /** Aborts with Ctrl-C. */
  readonly signal: AbortSignal
  /** A line that is written over by the next; null takes it away. Undefined where there is no terminal. */
  readonly moving: ((text: string | null) => void) | undefined
}

export interface Verb {
  /** One line for the list of verbs. */
  readonly summary: string
  readonly usage: string
  run(context: VerbContext): Promise<Exit>
}

/** The command was written wrongly, or names what isn't there: exit 2, nothing was done. Told with the verb's usage, unless the usage would not help. */
export class WrongUse extends Error {
  override readonly name = 'WrongUse'
  readonly showsUsage: boolean

  constructor(message: string, { showsUsage = true }: { readonly showsUsage?: boolean } = {}) {
    super(message)
    this.showsUsage = showsUsage
  }
}
