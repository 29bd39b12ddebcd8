/** The bytes of headers that stand the same in message after message. */

export interface HeaderCache {
  /** The bytes of a header, once the same has been kept before and seen again; null when they have to be written. */
  bytesOf(name: string, value: string): Uint8Array | null
  /** Tells of a header that was written; `bytes` is asked for only when it came twice in a row. */
  wrote(name: string, value: string, bytes: () => Uint8Array): void
  /** Names held now. */
  readonly names: number
}

/**
 * Holds at most `maxNames` names, each with a value of at most `maxLength` UTF-16 units: dead letters carry the headers of
 * strangers, whose names and values are without number. When it is full it begins anew.
 */
export function headerCache({ maxLength, maxNames }: { readonly maxNames: number; readonly maxLength: number }): HeaderCache {
  const last = new Map<string, { value: string; bytes: Uint8Array | null }>()
  return {
    bytesOf: (name, value) => {
      const known = last.get(name)
      return known?.value === value ? known.bytes : null
    },
    wrote: (name, value, bytes) => {
      if (name.length + value.length > maxLength) return
      const known = last.get(name)
      if (known === undefined) {
        if (last.size >= maxNames) last.clear()
        last.set(name, { value, bytes: null })
        return
      }
      known.bytes = known.value === value ? bytes() : null
      known.value = value
    },
    get names() {
      return last.size
    },
  }
}
