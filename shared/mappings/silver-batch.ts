/** What the events of one batch are to each other, before any sink is asked. */

/**
 * - `n`ewest: the highest version of its key in the batch; the only one whose row silver needs
 * - `s`uperseded: was the highest when it came, and a later one of the batch replaced it
 * - `o`vertaken: came after a higher version of its key
 * - `r`epeated: this very event stands earlier in the batch
 */
export type Role = 'n' | 's' | 'o' | 'r'

/** One role an event, in the order given. Keys are compared as text: two texts that Postgres calls equal are the sink's to find. */
export function rolesOf(events: readonly { readonly key: string; readonly version: number }[]): readonly Role[] {
  const roles: Role[] = []
  const chains = new Map<string, Chain>()
  for (const [at, { key, version }] of events.entries()) {
    const chain = chains.get(key)
    if (chain === undefined) {
      chains.set(key, { version, at, seen: null })
      roles.push('n')
      continue
    }
    chain.seen ??= new Set([chain.version])
    if (chain.seen.has(version)) {
      roles.push('r')
      continue
    }
    chain.seen.add(version)
    if (version < chain.version) {
      roles.push('o')
      continue
    }
    roles[chain.at] = 's'
    chain.version = version
    chain.at = at
    roles.push('n')
  }
  return roles
}

/** The events of one key. */
interface Chain {
  /** The highest so far, and where it stands. */
  version: number
  at: number
  /** All of them; made with the second, for most keys come once. */
  seen: Set<number> | null
}
