/** What a definition says of comparing: which tables there are, and who writes their copies. */
import { qualifiedName } from '../tables/table.ts'
import { type AnyPipeline, topicOf } from './define.ts'
import type { ComparedTable } from './reconcile-deps.ts'

export interface Comparable extends ComparedTable {
  readonly name: string
  /** The consumer that keeps the table's index; null where none does. */
  readonly indexed: string | null
}

/** The tables of which some consumer keeps silver: the others have no copy to compare. */
export function comparables({ consumers, tables }: AnyPipeline): readonly Comparable[] {
  return tables.flatMap((table): readonly Comparable[] => {
    const topic = topicOf(table)
    const readers = Object.entries(consumers).filter(([, { reads }]) => reads.includes(topic))
    const silver = readers.filter(([, { sink }]) => sink.kind === 'postgres' && sink.silver).map(([name]) => name)
    const [indexed = null] = readers.filter(([, { sink }]) => sink.kind === 'elasticsearch' && sink.indices[table.name] !== undefined).map(([name]) => name)
    if (silver.length === 0) return []
    return [{ name: qualifiedName(table), table, topic, consumers: [...silver, ...(indexed === null ? [] : [indexed])], indexed }]
  })
}
