/** Which concrete index a table's alias leads to, and which one stands beside it. */
import type { Client } from '@elastic/elasticsearch'
import { AfluenteError } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import { type Holders, holdersOf } from './alias.ts'

/** What the copy is called while the definition's version is the live one's. */
export function shadowIndexOf(index: string): string {
  return `${index}__shadow`
}

/**
 * `live`: the index behind the alias; `shadow`: the one that the definition wants, where that is another one (its version was raised), and otherwise
 * its neighbour: of `leads-v1` and `leads-v1__shadow` whichever is not live. Errors: `misconfigured` where the alias leads nowhere, or to several.
 */
export async function liveIndex(
  client: Client,
  alias: string,
  wanted: string,
  options: Cancellable,
): Promise<{ readonly live: string; readonly shadow: string }> {
  const live = oneOf(alias, await holdersOf(client, alias, options))
  return { live, shadow: live === wanted ? shadowIndexOf(wanted) : wanted }
}

/** Whether this index is one of the two that the definition's version may be behind. */
export function isOfVersion(index: string, wanted: string): boolean {
  return index === wanted || index === shadowIndexOf(wanted)
}

/** The one index behind an alias. Errors: `misconfigured` where it leads nowhere, or to several: named in order, since Elasticsearch has none. */
export function oneOf(alias: string, holders: Holders): string {
  const [live, ...more] = Object.keys(holders).toSorted()
  if (live !== undefined && more.length === 0) return live
  throw new AfluenteError(
    'misconfigured',
    'alias',
    `Elasticsearch: the alias ${alias} leads to ${live === undefined ? 'nothing' : [live, ...more].join(', ')}; it must lead to one index. Run \`npm run deploy\`, or mend it by hand.`,
  )
}
