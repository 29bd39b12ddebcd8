/** The storage of requests, used again: what is allocated for each makes the runtime collect its garbage far more often than its heap wants. */

export interface SpareStorage {
  /** At least so many bytes, with whatever stood in them. */
  take(size: number): Uint8Array
  /** Nobody reads or writes it any more. */
  give(storage: Uint8Array): void
}

/** Holds at most one, of at most `most` bytes: requests of a connection go one after the other, and those to other brokers take their own. */
export function spareStorage(most: number): SpareStorage {
  let spare: Uint8Array | null = null
  return {
    take: (size) => {
      const found = spare !== null && spare.length >= size ? spare : new Uint8Array(size)
      if (found === spare) spare = null
      return found
    },
    give: (storage) => {
      if (storage.length <= most && storage.length > (spare?.length ?? 0)) spare = storage
    },
  }
}
