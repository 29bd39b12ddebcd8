/** The counters there are, as Prometheus text (exposition format 0.0.4). Pure but for the asking. */
import type { PurgeState } from '../../shared/ports/purges.ts'
import type { Verdict } from '../../shared/ports/reconciliations.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import { etlFamilies } from './etl/metrics.ts'
import { type Family, familyText, gauge } from './family.ts'
import type { Survey } from './survey.ts'

/** A family whose source did not answer is left out: a zero would say that all is well. */
export function metricsText(
  { consumers, outbox, deadLetters, purges, reconciled, etl, faults }: Survey,
  build: { readonly version: string; readonly environment: string; readonly clock: Pick<Clock, 'now'> },
): string {
  const families: readonly Family[] = [
    gauge('afluente_build_info', 'The version that answers; always 1.', [{ labels: { version: build.version, environment: build.environment }, value: 1 }]),
    {
      name: 'afluente_events_total',
      type: 'counter',
      help: 'Events a consumer has settled, by what became of them.',
      samples: consumers.flatMap(({ progress }) =>
        [...Map.groupBy(progress, ({ topic }) => topic)].flatMap(([topic, partitions]) =>
          (['accepted', 'duplicate', 'late', 'dead'] as const).map((outcome) => ({
            labels: { consumer: partitions[0]?.consumer ?? '', topic, outcome },
            value: partitions.reduce((sum, one) => sum + one[outcome], 0),
          })),
        ),
      ),
    },
    gauge(
      'afluente_consumer_lag',
      'Records of a partition that are not settled in the sink yet.',
      consumers.flatMap(({ name, partitions }) =>
        partitions.map(({ topic, partition, lag }) => ({ labels: { consumer: name, topic, partition }, value: lag })),
      ),
    ),
    gauge(
      'afluente_consumer_state',
      'The state of each instance: 1 for the one it is in.',
      consumers.flatMap(({ name, instances }) => instances.map(({ instance, state }) => ({ labels: { consumer: name, instance, state }, value: 1 }))),
    ),
    gauge(
      'afluente_dead_letters',
      'Dead letters by consumer and state.',
      deadLetters.ok ? deadLetters.value.map(({ consumer, state, letters }) => ({ labels: { consumer, state }, value: letters })) : [],
    ),
    ...(outbox.ok
      ? [
          gauge('afluente_outbox_rows', 'Changes that are not in Kafka yet, counted up to 10001.', [{ labels: {}, value: outbox.value.rows }]),
          gauge('afluente_outbox_oldest_seconds', 'Age of the oldest change that is not in Kafka yet.', [
            { labels: {}, value: (outbox.value.oldestMs ?? 0) / 1_000 },
          ]),
          gauge('afluente_outbox_refused', 'Whether claim refuses, so that capture stands still (1).', [
            { labels: {}, value: outbox.value.refused === null ? 0 : 1 },
          ]),
          gauge(
            'afluente_outbox_keeps',
            'What is kept of new changes: images, above the budget keys, far above it nothing. 1 for what it is now.',
            (['images', 'keys', 'nothing'] as const).map((what) => ({ labels: { what }, value: outbox.value.keeps === what ? 1 : 0 })),
          ),
          gauge('afluente_tables_to_reconcile', 'Captured tables that are marked for reconciliation.', [
            { labels: {}, value: outbox.value.tables.filter(({ reconcileSince }) => reconcileSince !== null).length },
          ]),
          {
            name: 'afluente_capture_failures_total',
            type: 'counter',
            help: 'Changes whose trigger failed; their tables are marked for reconciliation.',
            samples: [{ labels: {}, value: outbox.value.failures }],
          } as const,
        ]
      : []),
    ...(purges.ok ? purgeFamilies(purges.value) : []),
    ...(reconciled.ok ? reconciledFamilies(reconciled.value) : []),
    ...(etl.ok ? etlFamilies(etl.value, build.clock.now()) : []),
    gauge(
      'afluente_unanswered',
      'Parts that did not answer when these numbers were gathered.',
      faults.map(({ part }) => ({ labels: { part }, value: 1 })),
    ),
  ]
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(familyText)
    .join('')
}

function purgeFamilies(purges: readonly PurgeState[]): readonly Family[] {
  const by = (value: (of: PurgeState) => number) => purges.map((of) => ({ labels: { consumer: of.consumer, table: of.table }, value: value(of) }))
  return [
    {
      name: 'afluente_tombstones_purged_total',
      type: 'counter',
      help: 'Deleted rows whose last trace was purged from a sink.',
      samples: by(({ purged }) => purged),
    },
    gauge(
      'afluente_purge_horizon_timestamp_seconds',
      'Tombstones of before this moment may go; 0 while none may. The status says what holds it back.',
      by(({ before }) => (before === null ? 0 : Date.parse(before) / 1_000)),
    ),
    gauge(
      'afluente_purge_held_back',
      'How many things hold the purge of tombstones back, beside their age.',
      by(({ heldBack }) => heldBack.length),
    ),
  ]
}

/** The last reconcile of each table that came to an end. */
function reconciledFamilies(verdicts: readonly Verdict[]): readonly Family[] {
  const ended = verdicts.flatMap(({ outcome, table }) => (outcome === null ? [] : [{ table, ...outcome }]))
  return [
    gauge(
      'afluente_reconcile_discrepancies',
      'Keys of a table that a sink lacked, had otherwise or had too much, in its last reconcile.',
      ended.flatMap(({ sinks, table }) =>
        sinks.flatMap((sink) => (['missing', 'different', 'extra'] as const).map((what) => ({ labels: { table, sink: sink.sink, what }, value: sink[what] }))),
      ),
    ),
    gauge(
      'afluente_reconcile_rows',
      'Rows of the source that its last reconcile compared.',
      ended.map(({ rows, table }) => ({ labels: { table }, value: rows })),
    ),
    gauge(
      'afluente_reconcile_unopened_rows',
      'Rows in ranges that differed and were not looked at one by one.',
      ended.map(({ table, unopened }) => ({ labels: { table }, value: unopened })),
    ),
    gauge(
      'afluente_reconcile_as_of_seconds',
      'The moment that the last verdict is of, in seconds since 1970.',
      ended.map(({ asOf, table }) => ({ labels: { table }, value: Date.parse(asOf) / 1_000 })),
    ),
    gauge(
      'afluente_reconcile_failed',
      'Whether the last reconcile of a table came to no end (1).',
      verdicts.map(({ problem, table }) => ({ labels: { table }, value: problem === null ? 0 : 1 })),
    ),
  ]
}
