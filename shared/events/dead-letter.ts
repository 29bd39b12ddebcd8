/** The life of a dead letter, as one total table: whoever changes a letter's state asks it, in every adapter. Pure. */

export const letterStates = [
  /** Waits for a person. */
  'open',
  /** Under way into its sink; a job says how it went. */
  'redriven',
  /** Its event, or one that replaced it, is in the sink. */
  'resolved',
  /** Somebody gave it up, for a reason. Final: a purge may count on it. */
  'discarded',
] as const
export type LetterState = (typeof letterStates)[number]

export const letterActions = [
  /** Its record came again from its topic and could not be applied. */
  'bury',
  /** A job takes it. */
  'redrive',
  /** The redrive has brought it into the sink. */
  'land',
  /** The redrive could not. */
  'fail',
  /** The job that took it was cancelled. */
  'release',
  /** A corrected event was sent in its place. */
  'replace',
  'discard',
] as const
export type LetterAction = (typeof letterActions)[number]

/** Null: that can't happen to a letter in this state, and changes nothing. */
export const letterTransitions: Readonly<Record<LetterState, Readonly<Record<LetterAction, LetterState | null>>>> = {
  open: { bury: 'open', redrive: 'redriven', land: null, fail: null, release: null, replace: 'resolved', discard: 'discarded' },
  // What the topic brings meanwhile is no answer to the redrive: its job gives that.
  redriven: { bury: 'redriven', redrive: null, land: 'resolved', fail: 'open', release: 'open', replace: null, discard: null },
  resolved: { bury: 'open', redrive: null, land: null, fail: null, release: null, replace: null, discard: null },
  discarded: { bury: 'discarded', redrive: null, land: null, fail: null, release: null, replace: null, discard: null },
}

/** Where the action leads from this state; null where it can't be. */
export function nextState(state: LetterState, action: LetterAction): LetterState | null {
  return letterTransitions[state][action]
}

/** The states in which the action can be. */
export function statesFor(action: LetterAction): readonly LetterState[] {
  return letterStates.filter((state) => letterTransitions[state][action] !== null)
}

/** For what the compiler has not seen. */
export function isLetterState(value: unknown): value is LetterState {
  return letterStates.some((state) => state === value)
}

/** The same text for letters that fail alike: numbers and quoted texts of the message don't count. What a fingerprint is made of. */
export function likenessOf(
  { table, code, message }: { readonly table: string | null; readonly code: string; readonly message: string },
  consumer: string,
): string {
  return JSON.stringify([consumer, table, code, message.replaceAll(/\d+/g, '#').replaceAll(/"[^"]*"/g, '"…"')])
}
