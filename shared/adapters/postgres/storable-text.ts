/** Text as Postgres can hold it: it has no NUL, and an index entry is limited. */

/** A B-tree entry holds about 2.7 kB; an id of this project is far shorter. */
const INDEXABLE_BYTES = 2_000

/** A NUL stands as the six characters `\u0000`. */
export function storable(text: string | null | undefined): string | null {
  return text === undefined || text === null ? null : text.replaceAll('\0', String.raw`\u0000`)
}

export function indexable(text: string): boolean {
  return text.length > 0 && text.length * 3 <= INDEXABLE_BYTES && !text.includes('\0')
}
