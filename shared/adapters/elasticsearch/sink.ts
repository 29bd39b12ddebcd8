import type { Client } from '@elastic/elasticsearch'
import type { AnyElasticsearchSink, AnyIndex } from '../../engine/define.ts'
import { AfluenteError } from '../../engine/errors.ts'
import type { Event } from '../../events/envelope.ts'
import { actionLineOf, documentLineOf, documentLineInOtherWords } from '../../mappings/document.ts'
import { aliasOf } from '../../mappings/index-mapping.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Control } from '../../ports/control.ts'
import type { Sink, TableBatch, WriteReport } from '../../ports/sink.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import { holdAliasToFloor } from './alias.ts'
import { type BulkOutcome, bulkInto } from './bulk.ts'
import { rejectionMessage } from './faults.ts'
import { gatherSmall } from './gather.ts'
import { refreshTurns } from './refresh.ts'
import { type KeyVersions, versionsByKey } from './versions.ts'

export interface ElasticsearchSinkDeps {
  readonly client: Client
  readonly control: Pick<Control, 'advance' | 'floors'>
  readonly clock: Clock
  /** 0 ≤ n < 1, for the jitter of retries. */
  readonly random: () => number
  readonly indices: AnyElasticsearchSink['indices']
  /** The index to write into instead of the alias: a shadow's. */
  readonly target?: (table: SourceTable) => string
}

/**
 * The present row of each key as a document behind the table's alias, under the event's version as external version. The alias says which index that
 * is: when it moves to another one, writes move with its readers. Replays, doubles and a paused old writer change nothing. Of several versions of a key in one batch only the highest
 * is sent; the others count as it does. An epoch that has moved on is noticed when the progress is recorded; what was
 * written before that is guarded by its version. What is below a table's floor stays, hidden by the alias's filter, and so does
 * what comes late from there. Expects the indices that `prepareIndices` makes. Keeps no dead letters, and no truncates:
 * one that comes again counts as accepted again.
 */
export function elasticsearchSink({ client, control, clock, random, indices, target }: ElasticsearchSinkDeps): Sink {
  const bulk = bulkInto({ client, clock, random, requireAlias: target === undefined })
  const gathered = gatherSmall(bulk, refreshTurns(clock))

  return {
    async write(batch, { signal }) {
      const { table, events, fence } = batch
      const index = target?.(table) ?? written(table, indices[table.name])
      const syncedAt = new Date(clock.now()).toISOString()
      const rows = events.filter(({ op }) => op !== 'truncate')
      const keys = versionsByKey(rows)
      for (let round = keys.next(); round.length > 0; round = keys.next()) {
        const items = round.map((event) => ({ action: actionLineOf(event), document: documentLineOf(event, syncedAt) }))
        const plain = await gathered(index, items, { signal })
        const outcomes = await secondTries(plain, round, batch, index, syncedAt, signal)
        for (const [at, event] of round.entries()) keys.settle(event, outcomes[at] ?? { status: 'rejected', error: { type: 'no_answer' } })
      }
      const report = reportOf(keys, batch, index)
      await control.advance(fence, report.rejected.length === 0 ? batch.nextOffset : beforeAll(batch), events.length - report.rejected.length, report, {
        signal,
      })
      return report
    },
    async sweepBelow({ table, floor }, { signal }) {
      const present = async () => (await control.floors({ signal })).find(({ table: name }) => name === floor.table)?.version ?? floor.version
      await holdAliasToFloor(client, aliasOf(table), present, { signal })
      return { rows: 0, next: null }
    },
    async keep() {},
  }

  /** Refused documents once more, in other words, where there are any. */
  async function secondTries(
    outcomes: readonly BulkOutcome[],
    events: readonly Event[],
    { table }: TableBatch,
    index: string,
    syncedAt: string,
    signal: AbortSignal,
  ): Promise<readonly BulkOutcome[]> {
    const kinds = indices[table.name]?.fields ?? {}
    const tries = events.flatMap((event, at) => {
      const document = outcomes[at]?.status === 'rejected' ? documentLineInOtherWords(event, table, kinds, syncedAt) : null
      return document === null ? [] : [{ at, action: actionLineOf(event), document }]
    })
    if (tries.length === 0) return outcomes
    const answers = new Map((await bulk(index, tries, { refresh: false, signal })).map((answer, n) => [tries[n]?.at, answer] as const))
    return outcomes.map((outcome, at) => answers.get(at) ?? outcome)
  }
}

/** The truncates of the batch, which no document shows, count as accepted; the places of what was rejected are those of the batch. */
function reportOf(keys: KeyVersions, { events, table }: TableBatch, index: string): WriteReport {
  const places = [...events.keys()].filter((at) => events[at]?.op !== 'truncate')
  const report = keys.report((error) => rejectionMessage(index, error, Object.keys(table.columns)))
  const rejected = report.rejected.map((rejection) => ({ ...rejection, index: places[rejection.index] ?? rejection.index }))
  return { ...report, accepted: report.accepted + events.length - places.length, rejected }
}

/** What was rejected is settled when it is buried, not before: until then progress stays where the batch begins. */
function beforeAll({ events, nextOffset }: TableBatch): string {
  const first = BigInt(events[0]?.record.offset ?? nextOffset)
  return String(first < BigInt(nextOffset) ? first : nextOffset)
}

function written(table: SourceTable, index: AnyIndex | undefined): string {
  if (index !== undefined) return aliasOf(table)
  throw new AfluenteError(
    'misconfigured',
    'no-index',
    `Elasticsearch: there is no index for ${qualifiedName(table)}. Name it under the consumer's sink.indices in shared/pipeline.ts.`,
  )
}
