/** The guards of the purge of tombstones: nothing goes that something older may still meet. */
import type { Guard } from './guard.ts'

const HORIZON = 'shared/engine/purge-horizon.ts'
const POSTGRES = 'shared/adapters/postgres'
const PURGE = ['contract', 'test/contract/purge/postgres.test.ts'] as const

export const guardsOfThePurge: readonly Guard[] = [
  {
    name: 'tombstones outlive the records that Kafka still holds',
    file: HORIZON,
    line: '{ ms: ms - SKEW_MS, why: `Kafka still',
    sabotage: '{ ms: nowMs, why: `Kafka still',
    tests: PURGE,
  },
  {
    name: 'tombstones outlive what a consumer has not settled',
    file: HORIZON,
    line: 'BigInt(one.nextOffset) < low',
    sabotage: 'BigInt(one.nextOffset) < 0n',
    tests: PURGE,
  },
  {
    name: 'tombstones outlive what waits in the outbox',
    file: HORIZON,
    line: 'ms: nowMs - oldestMs - SKEW_MS,',
    sabotage: 'ms: nowMs,',
    tests: PURGE,
  },
  {
    name: 'tombstones stay while capture is refused',
    file: HORIZON,
    line: '...(refused === null ? []',
    sabotage: `...(refused !== '' ? []`,
    tests: PURGE,
  },
  {
    name: 'tombstones outlive letters that may be redriven',
    file: HORIZON,
    line: ' ms: oldestMs - SKEW_MS,',
    sabotage: ' ms: nowMs,',
    tests: PURGE,
  },
  {
    name: 'tombstones stay while a replay runs',
    file: HORIZON,
    line: '...(running === 0 ?',
    sabotage: '...(running >= 0 ?',
    tests: PURGE,
  },
  {
    name: 'tombstones stay while a shadow stands',
    file: HORIZON,
    line: '...(shadows === 0 ?',
    sabotage: '...(shadows >= 0 ?',
    tests: PURGE,
  },
  {
    name: 'tombstones stay while a part does not answer',
    file: HORIZON,
    line: 'said.ok ? limitsOf(said.value) : [nothingGoes(',
    sabotage: 'said.ok ? limitsOf(said.value) : [((why: string) => ({ ms: Number.POSITIVE_INFINITY, why }))(',
    tests: PURGE,
  },
  {
    name: 'tombstones are younger than the retention and a margin',
    file: HORIZON,
    line: 'return nowMs - retentionMs - MARGIN_MS',
    sabotage: 'return nowMs - retentionMs',
    tests: PURGE,
  },
  {
    name: 'letters under way are unsettled',
    file: `${POSTGRES}/purges.ts`,
    line: `where state in ('open', 'redriven') and topic`,
    sabotage: `where state in ('open') and topic`,
    tests: PURGE,
  },
  {
    name: 'a purge takes nothing that lives',
    file: `${POSTGRES}/tombstones.ts`,
    line: '    and t._deleted_at is not null and t._synced_at',
    sabotage: '    and t._synced_at',
    tests: PURGE,
  },
  {
    name: 'who lost the purge of a table purges nothing',
    file: `${POSTGRES}/tombstones.ts`,
    line: 'where exists (select from fence) and t.ctid',
    sabotage: 'where t.ctid',
    tests: PURGE,
  },
  {
    name: 'one purges a table at a time',
    file: `${POSTGRES}/purges.ts`,
    line: 'where p.leased_until <= clock_timestamp() and',
    sabotage: 'where',
    tests: PURGE,
  },
  {
    name: 'a document is purged only as it was found',
    file: 'shared/adapters/elasticsearch/tombstones.ts',
    line: ', if_seq_no: _seq_no, if_primary_term: _primary_term }',
    sabotage: '}',
    tests: ['contract', 'test/contract/purge/elasticsearch.test.ts'],
  },
  {
    name: 'the oldest record of any partition counts',
    file: 'shared/adapters/kafka/record-ages.ts',
    line: 'return begins.some(',
    sabotage: 'return begins.every(',
    tests: ['contract', 'test/contract/purge/record-ages.test.ts'],
  },
  {
    name: 'a replay brings no row back that was deleted later',
    file: `${POSTGRES}/replays.ts`,
    line: 'coalesce(e.version < deleted.version, false) as outlived',
    sabotage: 'false as outlived',
    tests: ['contract', 'test/contract/replays/postgres.test.ts'],
  },
  {
    name: 'what a delete outlived reaches no sink',
    file: 'shared/engine/replay.ts',
    line: 'filter(({ eventId }) => !outlived.has(eventId))',
    sabotage: 'filter(() => true)',
    tests: ['unit', 'test/unit/replay'],
  },
]
