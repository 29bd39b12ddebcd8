/** What the audit has to say. */
export interface Finding {
  /** One of the promises; `source`: the source itself did not keep what it had said is committed; `parts`: something died that nobody killed. */
  readonly promise: 'I1' | 'I2' | 'I3' | 'I4' | 'I6' | 'I7' | 'I8' | 'I9' | 'source' | 'parts'
  readonly kind: 'lost' | 'doubled' | 'stale' | 'broken'
  readonly what: string
}

export function finding(promise: Finding['promise'], kind: Finding['kind'], what: string): Finding {
  return { promise, kind, what }
}

/** The items by a name of theirs, in the order they came. */
export function groupedBy<T>(items: Iterable<T>, nameOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const name = nameOf(item)
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [item])
    else group.push(item)
  }
  return groups
}
