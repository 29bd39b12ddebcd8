/** The filter of a table's alias: the one place where soft-deleted documents, and those of before the floor, are hidden. */
import type { Client } from '@elastic/elasticsearch'
import { aliasFilterOf, floorOfFilter } from '../../mappings/index-mapping.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import { requestFault, statusOf } from './faults.ts'

/** Answers a table's present floor, 0 where it has none. Asked after each change: somebody else may have raised it meanwhile. */
export type PresentFloor = () => Promise<number>

/** The concrete indices an alias leads to, with their filters. Empty where there is no such alias. */
export type Holders = Readonly<Record<string, unknown>>

export async function holdersOf(client: Client, alias: string, { signal }: Cancellable): Promise<Holders> {
  try {
    const found = await client.indices.getAlias({ name: alias }, { signal })
    return Object.fromEntries(Object.entries(found).map(([index, { aliases }]) => [index, aliases[alias]?.filter]))
  } catch (error) {
    if (statusOf(error) === 404) return {}
    throw error
  }
}

/**
 * Brings the filter of an alias to the table's floor, in one atomic call; never to a lower one than it has. Whoever raised the floor
 * meanwhile may have been overtaken by this call, so it looks again until both agree. Changes nothing where there is no alias:
 * whoever makes it asks for the floor. Errors: `unavailable`, `misconfigured`.
 */
export async function holdAliasToFloor(client: Client, alias: string, present: PresentFloor, options: Cancellable): Promise<void> {
  for (;;) {
    const floor = await present()
    try {
      const holders = await holdersOf(client, alias, options)
      const lower = Object.entries(holders).filter(([, filter]) => floorOfFilter(filter) < floor)
      if (lower.length === 0) return
      // Taken away and given back in one call: it fails as a whole when the alias has moved on to another index meanwhile.
      const actions = lower.flatMap(([index]) => [{ remove: { index, alias, must_exist: true } }, { add: { index, alias, filter: aliasFilterOf(floor) } }])
      await client.indices.updateAliases({ actions }, options)
    } catch (error) {
      if (statusOf(error) !== 404) throw requestFault(`raising the floor of the alias ${alias}`, error)
    }
  }
}
