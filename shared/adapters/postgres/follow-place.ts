/** How far a shadow follows its live table, and what it has by then: the text that goes from step to step, and to the swap. */

export interface FollowPlace {
  /** The shadow has all that was committed before this transaction; null: nothing is known of what it has. */
  readonly since: string | null
  /** When the round began: what was committed before is in the shadow once the round has ended. */
  readonly begun: string
  /** The file in which the table lay when the round began. Another one has its rows in other places. */
  readonly file: string
  /** The page with which the next step begins; null: the round has ended. */
  readonly block: string | null
}

const PLACE = /^(\d*)\/(\d+)\/(\d+)\/(\d*)$/

export function writtenPlace({ begun, block, file, since }: FollowPlace): string {
  return `${since ?? ''}/${begun}/${file}/${block ?? ''}`
}

/** Null for what is no place: then all is looked at. */
export function readPlace(text: string | null): FollowPlace | null {
  const [, since, begun, file, block] = PLACE.exec(text ?? '') ?? []
  if (begun === undefined || file === undefined) return null
  return { since: since || null, begun, file, block: block || null }
}

/** What a swap may count on: a round that has ended. */
export function endedRound(text: string): Pick<FollowPlace, 'begun' | 'file'> | null {
  const place = readPlace(text)
  return place?.block === null ? place : null
}
