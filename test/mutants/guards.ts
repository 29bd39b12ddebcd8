/**
 * The guards that the promises rest on, each with a sabotage of one line and the tests that must notice it. A guard whose sabotage
 * nobody notices is a missing test.
 */
import type { Guard } from './guard.ts'
import { guardsOfReconcile } from './guards-of-reconcile.ts'
import { guardsOfReplays } from './guards-of-replays.ts'
import { guardsOfEtlRuns } from './guards-of-etl-runs.ts'
import { guardsOfSteps } from './guards-of-steps.ts'
import { guardsOfThePurge } from './guards-of-the-purge.ts'
import { guardsOfTheSource } from './guards-of-the-source.ts'
import { guardsOfWords } from './guards-of-words.ts'

const SQL = 'supabase/migrations/20261101000'
const POSTGRES = 'shared/adapters/postgres'
const SINK = ['contract', 'test/contract/sink/postgres.test.ts', 'test/contract/sink/postgres-guards.test.ts'] as const
const INDEX = ['contract', 'test/contract/sink/elasticsearch.test.ts'] as const
const SOURCE = 'test/contract/source'
const ETL = 'test/contract/etl'

export const guards: readonly Guard[] = [
  // The source.
  {
    name: 'versions come one by one (CACHE 1)',
    file: `${SQL}200_afluente.sql`,
    line: 'create sequence afluente.version as bigint cache 1',
    sabotage: 'create sequence afluente.version as bigint cache 50',
    tests: ['source', `${SOURCE}/mutants.test.ts`],
  },
  {
    name: 'the image is read back from the table',
    file: `${SQL}600_afluente_trigger_source.sql`,
    line: 'touched.image end, present.image, moment, trace',
    sabotage: 'touched.image end, case when present.there then touched.image end, moment, trace',
    tests: ['source', `${SOURCE}/users-triggers.test.ts`, `${SOURCE}/cascades.test.ts`],
  },
  {
    name: 'the trigger fixes the time zone',
    file: `${SQL}600_afluente_trigger_source.sql`,
    line: `set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set row_security = off
set enable_seqscan = off
set enable_nestloop = off`,
    sabotage: `set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set row_security = off
set enable_seqscan = off
set enable_nestloop = off`,
    tests: ['source', `${SOURCE}/images.test.ts`, `${SOURCE}/keys.test.ts`],
  },
  {
    name: 'a key whose text changed is another key',
    file: `${SQL}600_afluente_trigger_source.sql`,
    line: `case when prints_alike then '' else ' and {key text} = touched.key' end`,
    sabotage: `''`,
    tests: ['source', `${SOURCE}/keys.test.ts`],
  },
  {
    name: 'triggers fire for replicas as well (ENABLE ALWAYS)',
    file: `${SQL}700_afluente_capture_table.sql`,
    line: 'alter table %1$I.%2$I enable always trigger afluente_insert, enable always trigger afluente_update,',
    sabotage: 'alter table %1$I.%2$I enable trigger afluente_insert, enable trigger afluente_update,',
    tests: ['source', `${SOURCE}/statements.test.ts`, `${SOURCE}/partitions.test.ts`, `${SOURCE}/mutants-writer.test.ts`],
  },
  {
    name: 'the user’s statement succeeds, whatever fails in the trigger',
    file: `${SQL}600_afluente_trigger_source.sql`,
    line: `  when others then
    begin
      perform afluente.note_failure({name}, sqlstate, sqlerrm);`,
    sabotage: `  when others then
    begin
      raise;`,
    tests: ['source', `${SOURCE}/unnoticed.test.ts`],
  },
  {
    name: 'excluded columns stay, also under another name',
    file: `${SQL}500_afluente_trigger_parts.sql`,
    line: 'a.attnum = any (hidden_columns.numbers) and not a.attisdropped',
    sabotage: 'false',
    tests: ['source', `${SOURCE}/excluded.test.ts`],
  },
  {
    name: 'a large TRUNCATE leaves a floor',
    file: `${SQL}650_afluente_truncate.sql`,
    line: 'if whole and (rows > 100000 or not fresh) then',
    sabotage: 'if false then',
    tests: ['source', `${SOURCE}/truncate.test.ts`],
  },
  {
    name: 'the outbox keeps to its budget',
    file: `${SQL}350_afluente_space.sql`,
    line: 'when waiting >= budget then 1',
    sabotage: 'when false then 1',
    tests: ['source', `${SOURCE}/pressure.test.ts`],
  },
  {
    name: 'a copy or a restored backup is refused',
    file: `${SQL}360_afluente_identity.sql`,
    line: 'if place is not null then',
    sabotage: 'if false then',
    tests: ['source', `${SOURCE}/copies.test.ts`, `${SOURCE}/restore.test.ts`],
  },
  {
    name: 'one holder a shard',
    file: `${SQL}800_afluente_claim.sql`,
    line: 'where s.shard = claim.shard and (s.owner = claim.owner or s.leased_until <= clock_timestamp())',
    sabotage: 'where s.shard = claim.shard',
    tests: ['source', `${SOURCE}/claim.test.ts`, `${SOURCE}/mutants.test.ts`],
  },
  {
    name: 'an old epoch acknowledges nothing',
    file: `${SQL}800_afluente_claim.sql`,
    line: 'if present is distinct from acknowledge.epoch then',
    sabotage: 'if false then',
    tests: ['source', `${SOURCE}/claim.test.ts`],
  },
  {
    name: 'a failure that is being noted waits for nobody (SKIP LOCKED)',
    file: `${SQL}750_afluente_failures.sql`,
    line: 'for no key update skip locked',
    sabotage: 'for no key update',
    tests: ['source', `${SOURCE}/held-up.test.ts`],
  },
  // Rows that are sent again.
  {
    name: 'a row is locked while a backfill reads it and draws its version',
    file: `${SQL}600_afluente_trigger_source.sql`,
    line: 'offset 0 for share skip locked',
    sabotage: 'offset 0',
    tests: ['source', `${SOURCE}/resend.test.ts`],
  },
  {
    name: 'a backfill waits for nobody (SKIP LOCKED)',
    file: `${SQL}600_afluente_trigger_source.sql`,
    line: 'offset 0 for share skip locked',
    sabotage: 'offset 0 for share',
    tests: ['source', `${SOURCE}/resend.test.ts`],
  },
  {
    name: 'a key that is sent again has the text that triggers write',
    file: `${SQL}600_afluente_trigger_source.sql`,
    line: '    where {same key} and {key text} = touched.key offset 0 for share',
    sabotage: '    where {same key} offset 0 for share',
    tests: ['source', `${SOURCE}/resend.test.ts`],
  },
  {
    name: 'a backfill that was taken over sends nothing any more',
    file: `${SQL}941_afluente_backfills.sql`,
    line: 'if held.epoch is distinct from send_backfill.epoch then',
    sabotage: 'if held.epoch is null then',
    tests: ['contract', 'test/contract/backfill'],
  },
  {
    name: 'what a backfill has reached it sends once',
    file: `${SQL}941_afluente_backfills.sql`,
    line: `held.state = 'running' and (send_backfill.reached is null or held.reached is distinct from send_backfill.reached)`,
    sabotage: `held.state = 'running'`,
    tests: ['contract', 'test/contract/backfill'],
  },
  {
    name: 'rows that somebody held are asked for again',
    file: 'shared/engine/backfill.ts',
    line: 'else if (backfill.waiting.length === 0) return',
    sabotage: 'else if (!signal.aborted) return',
    tests: ['unit', 'test/unit/backfill'],
  },
  {
    name: 'a backfill leaves room for the changes of users',
    file: 'shared/engine/backfill.ts',
    line: `else if (!sender.room) await rest(ROOM_MS, 'waiting-for-room')`,
    sabotage: '',
    tests: ['unit', 'test/unit/backfill'],
  },
  {
    name: 'a condition can not leave its parentheses',
    file: `${POSTGRES}/source-rows.ts`,
    line: '        await db.read(conditionProbe(shape, condition), options)\n',
    sabotage: '',
    tests: ['source', `${SOURCE}/source-rows.test.ts`],
  },
  // Capture.
  {
    name: 'acknowledged only once Kafka has it',
    file: 'shared/engine/capture.ts',
    line: "    if (!(await publish(held, { deps, lease, run }))) return null\n    if (!(await acknowledger.add(epoch, versions))) return 'fenced'",
    sabotage: "    if (!(await acknowledger.add(epoch, versions))) return 'fenced'\n    if (!(await publish(held, { deps, lease, run }))) return null",
    tests: ['flow', 'test/flow/memory/pipeline.test.ts'],
  },
  {
    name: 'nothing is sent under a lease that has run out',
    file: 'shared/engine/capture-batch.ts',
    line: 'if (!live()) return null',
    sabotage: 'live()',
    tests: ['unit', 'test/unit/capture'],
  },
  {
    name: 'the last look comes after the lease was let go',
    file: 'shared/engine/capture.ts',
    line: '      await lease.release()\n      claim = await look(0)',
    sabotage: '      claim = await look(0)\n      await lease.release()',
    tests: ['unit', 'test/unit/capture'],
  },
  {
    name: 'a late commit is read before what came after it',
    file: 'shared/engine/capture-lease.ts',
    line: 'floor: 0',
    sabotage: 'floor: Math.max(0, ...beside)',
    tests: ['unit', 'test/unit/capture'],
  },
  {
    name: 'the storage of a request is used again only once it was answered',
    file: 'shared/adapters/kafka/produce-encoding.ts',
    line: '        storage = writer.bytes\n',
    sabotage: '        STORAGE.give(writer.bytes)\n',
    tests: ['unit', 'test/unit/adapters/produce-request.test.ts'],
  },
  {
    name: 'a header that is longer than the room before its body is not put there',
    file: 'shared/adapters/kafka/request-room.ts',
    line: ' || this.offset > room) return copy',
    sabotage: ') return copy',
    tests: ['unit', 'test/unit/adapters/produce-request.test.ts'],
  },
  // Deliver.
  {
    name: 'what waits in all partitions of a member is bounded',
    file: 'shared/adapters/kafka/subscription-membership.ts',
    line: 'if (bytes() >= CROWDED_BYTES) for',
    sabotage: 'if (partition.full) for',
    tests: ['unit', 'test/unit/deliver/subscription-membership.test.ts'],
  },
  {
    name: 'offsets are committed after the sink has the batch',
    file: 'shared/adapters/kafka/subscription-partition.ts',
    line: `      await deps.handle({ topic, partition, records, highWatermark, generation }, { signal, heartbeat })
      const last = records.at(-1)
      if (last !== undefined && !signal.aborted) deps.onSettled(String(BigInt(last.offset) + 1n))`,
    sabotage: `      const last = records.at(-1)
      if (last !== undefined && !signal.aborted) deps.onSettled(String(BigInt(last.offset) + 1n))
      await deps.handle({ topic, partition, records, highWatermark, generation }, { signal, heartbeat })`,
    tests: ['contract', 'test/contract/subscription/kafka.test.ts'],
  },
  {
    name: 'an older version never overwrites a newer one (silver)',
    file: `${POSTGRES}/write-statement.ts`,
    line: '  where excluded._version > t._version\n',
    sabotage: '',
    tests: SINK,
  },
  {
    name: 'an event is in bronze once',
    file: `${POSTGRES}/write-statement.ts`,
    line: '  on conflict (event_id) do nothing\n',
    sabotage: '  on conflict (event_id) do update set kafka_offset = excluded.kafka_offset\n',
    tests: SINK,
  },
  {
    name: 'a delete leaves a tombstone',
    file: `${POSTGRES}/write-statement.ts`,
    line: `case when e.op = 'delete' then e.occurred_at::timestamptz end, e.id`,
    sabotage: 'null::timestamptz, e.id',
    tests: SINK,
  },
  {
    name: 'nothing below the floor is written (silver)',
    file: `${POSTGRES}/write-statement.ts`,
    line: ` and e.op <> 'truncate' and e.version > e.floor\n`,
    sabotage: ` and e.op <> 'truncate'\n`,
    tests: ['contract', 'test/contract/sink/postgres-floor.test.ts', 'test/contract/sink/postgres.test.ts'],
  },
  {
    name: 'who has lost a partition writes nothing (epoch)',
    file: `${POSTGRES}/fenced.ts`,
    line: ' and epoch = $4',
    sabotage: ' and epoch >= $4',
    tests: ['contract', 'test/contract/sink/postgres.test.ts', 'test/contract/control/postgres.test.ts', 'test/contract/sink/postgres-guards.test.ts'],
  },
  {
    name: 'offsets and counters never go back',
    file: `${POSTGRES}/control.ts`,
    line: `const ADVANCE = \`update ops.consumer_progress set
  next_offset = greatest(next_offset, $5::bigint)`,
    sabotage: `const ADVANCE = \`update ops.consumer_progress set
  next_offset = $5::bigint`,
    tests: ['contract', 'test/contract/control/postgres.test.ts'],
  },
  {
    name: 'the same record is the same dead letter',
    file: `${POSTGRES}/control.ts`,
    line: 'attempts = d.attempts + 1',
    sabotage: 'attempts = d.attempts',
    tests: ['contract', 'test/contract/control/postgres.test.ts'],
  },
  {
    name: 'a floor never goes down',
    file: `${POSTGRES}/control.ts`,
    line: 'version = greatest(f.version, excluded.version)',
    sabotage: 'version = excluded.version',
    tests: ['contract', 'test/contract/control/postgres.test.ts'],
  },
  {
    name: 'an older version never overwrites a newer one (index)',
    file: 'shared/mappings/document.ts',
    line: `"version_type":"external"`,
    sabotage: `"version_type":"external_gte"`,
    tests: INDEX,
  },
  {
    name: 'deleted documents are hidden by the alias',
    file: 'shared/mappings/index-mapping.ts',
    line: 'return floor === 0 ? livingOnly : { bool: { filter: [livingOnly, aboveFloor(floor)] } }',
    sabotage: 'return floor === 0 ? { match_all: {} } : { bool: { filter: [aboveFloor(floor)] } }',
    tests: ['contract', 'test/contract/sink/elasticsearch.test.ts', 'test/contract/deploy/indices.test.ts'],
  },
  {
    name: 'what is below the floor is hidden by the alias',
    file: 'shared/mappings/index-mapping.ts',
    line: 'return floor === 0 ? livingOnly : { bool: { filter: [livingOnly, aboveFloor(floor)] } }',
    sabotage: 'return livingOnly',
    tests: ['contract', 'test/contract/sink/elasticsearch-floor.test.ts'],
  },
  {
    name: 'a row without a defined column halts its consumer',
    file: 'shared/engine/shape.ts',
    line: 'if (misshapen === null) return',
    sabotage: 'if (misshapen !== null) return',
    tests: ['unit', 'test/unit/deliver'],
  },
  {
    name: 'one record that is refused holds up no other',
    file: 'shared/engine/split.ts',
    line: 'if (items.length === 1 && only !== undefined) return [{ item: only, error }]',
    sabotage: 'return items.map((item) => ({ item, error }))',
    tests: ['unit', 'test/unit/deliver'],
  },
  // Dead letters.
  {
    name: 'a redrive that lost its place answers for no letter',
    file: `${POSTGRES}/redrives.ts`,
    line: `  from fence where d.id = any($6::bigint[])`,
    sabotage: `  from (select) as fence where d.id = any($6::bigint[])`,
    tests: ['contract', 'test/contract/letters'],
  },
  {
    name: 'a settlement that is sent twice counts once',
    file: `${POSTGRES}/redrives.ts`,
    line: `  from fence where j.id = $5::bigint and exists (select from changed))`,
    sabotage: `  from fence where j.id = $5::bigint)`,
    tests: ['contract', 'test/contract/letters'],
  },
  {
    name: 'a letter that failed in a redrive is not taken by it again',
    file: `${POSTGRES}/redrives.ts`,
    line: ' and d.job is distinct from job.id',
    sabotage: '',
    tests: ['contract', 'test/contract/letters'],
  },
  {
    name: 'letters that came after a redrive was asked for are none of its own',
    file: `${POSTGRES}/redrives.ts`,
    line: ' and d.id <= job.up_to',
    sabotage: '',
    tests: ['contract', 'test/contract/letters'],
  },
  {
    name: 'a discarded letter stays discarded',
    file: 'shared/events/dead-letter.ts',
    line: `discarded: { bury: 'discarded', redrive: null,`,
    sabotage: `discarded: { bury: 'discarded', redrive: 'redriven',`,
    tests: ['unit', 'test/unit/events'],
  },
  {
    name: 'who redrives shuts out whoever redrove before',
    file: 'shared/engine/redrive.ts',
    line: 'const epoch = await control.take({ consumer, topic, partition, owner: deps.owner }, options)',
    sabotage: 'const epoch = 1',
    tests: ['unit', 'test/unit/redrive'],
  },
  // The doors.
  {
    name: 'the API wants its token',
    file: 'functions/api/handler.ts',
    line: `if (!(await isSameSecret(bearerOf(c.req.header('authorization')), deps.token))) {`,
    sabotage: 'if (c.req.path === "") {',
    tests: ['contract', 'test/contract/api/api.test.ts'],
  },
  ...guardsOfReplays,
  ...guardsOfTheSource,
  ...guardsOfThePurge,
  ...guardsOfReconcile,
  ...guardsOfEtlRuns,
  ...guardsOfSteps,
  ...guardsOfWords,
  // ETL.
  {
    name: 'a moment counts once whoever was open at it has ended',
    file: 'shared/engine/etl-prove.ts',
    line: 'if (present.open.length === 0) return',
    sabotage: 'if (present.open.length >= 0) return',
    tests: ['contract', `${ETL}/losses.test.ts`],
  },
  {
    name: 'who was open and has prepared meanwhile is still open',
    file: `${POSTGRES}/etl-open.ts`,
    line: '...(hasGone ? prepared.since.filter((id) => !noted.includes(id)) : []),',
    sabotage: '...(hasGone ? [] : []),',
    tests: ['contract', `${ETL}/losses.test.ts`],
  },
  {
    name: 'a page begins after cursor and key, not after the cursor alone',
    file: `${POSTGRES}/etl-source-queries.ts`,
    line: "[`(${names.map(quoted).join(', ')}) > (${placed(after, names)})`]",
    sabotage: "[`${quoted(names[0] ?? '')} > ${placed(after.slice(0, 1), names)}`]",
    tests: ['contract', `${ETL}/losses.test.ts`],
  },
  {
    name: 'the last stretch is read again',
    file: `${POSTGRES}/etl-store.ts`,
    line: "typed.watermark_start - $12 * interval '1 millisecond'",
    sabotage: "typed.watermark_start - 0 * $12 * interval '1 millisecond'",
    tests: ['contract', `${ETL}/losses.test.ts`],
  },
  {
    name: 'a watermark that a clock left in the future is lowered',
    file: `${POSTGRES}/etl-store.ts`,
    line: 'least(c.watermark_start, $11::timestamptz) end',
    sabotage: 'c.watermark_start end',
    tests: ['contract', `${ETL}/losses.test.ts`],
  },
  {
    name: 'a table is filled by the definition that its run began under',
    file: 'shared/engine/etl-run.ts',
    line: "position?.phase !== 'changes' ? begunUnder : null",
    sabotage: "position?.phase !== 'changes' ? await definitionHash(job) : null",
    tests: ['contract', `${ETL}/rows.test.ts`],
  },
  {
    name: 'watermarks keep their microseconds',
    file: `${POSTGRES}/etl-run-columns.ts`,
    line: 'HH24:MI:SS.US"Z"',
    sabotage: 'HH24:MI:SS.MS"000Z"',
    tests: ['contract', `${ETL}/control-postgres.test.ts`],
  },
  {
    name: 'a page under an old epoch is refused',
    file: `${POSTGRES}/etl-lease.ts`,
    line: 'where j.job = $1 and j.epoch = $2 and j.execution_id = $3',
    sabotage: 'where j.job = $1 and $2::bigint is not null and j.execution_id = $3',
    tests: ['contract', `${ETL}/interrupted.test.ts`],
  },
  {
    name: 'a job’s lease is not taken while it holds',
    file: `${POSTGRES}/etl-store.ts`,
    line: 'where j.leased_until <= clock_timestamp()',
    sabotage: 'where j.leased_until is not null',
    tests: ['contract', `${ETL}/interrupted.test.ts`],
  },
  {
    name: 'of a job one run is going at a time',
    file: 'sql/0260_ops_etl_control.sql',
    line: 'create unique index if not exists etl_control_going',
    sabotage: 'create index if not exists etl_control_going',
    tests: ['contract', `${ETL}/control-postgres.test.ts`],
  },
  {
    name: 'no watermark in the future',
    file: `${POSTGRES}/etl-control.ts`,
    line: 'where at <= clock_timestamp() and not exists',
    sabotage: 'where at is not null and not exists',
    tests: ['contract', `${ETL}/control-postgres.test.ts`],
  },
  {
    name: 'a row whose hash stands there is not touched',
    file: `${POSTGRES}/etl-write-statement.ts`,
    line: 'or s._hash is distinct from i._hash)',
    sabotage: 'or s._hash is not null or i._hash is not null)',
    tests: ['contract', `${ETL}/run.test.ts`],
  },
  {
    name: 'a hash tells what prints otherwise, though Postgres calls it equal',
    file: `${POSTGRES}/etl-columns.ts`,
    line: "const PLAIN = ['smallint',",
    sabotage: "const PLAIN = ['numeric', 'smallint',",
    tests: ['contract', `${ETL}/run.test.ts`],
  },
  {
    name: 'a row that is rejected has not gone',
    file: `${POSTGRES}/etl-write-statement.ts`,
    line: "].join(' and ')}${rejected}`",
    sabotage: "].join(' and ')}${rejected.slice(0, 0)}`",
    tests: ['contract', `${ETL}/rows.test.ts`],
  },
  {
    name: 'a page with a value that cleaning would change is not passed on as it is',
    file: `${POSTGRES}/etl-page.ts`,
    line: "if (textOf(row, 'odd') === 'true' && !careful) return null",
    sabotage: "if (row['odd'] === 'never' && !careful) return null",
    tests: ['contract', `${ETL}/rows.test.ts`],
  },
  {
    name: 'a column of text that trimming would change is opened',
    file: `${POSTGRES}/etl-page.ts`,
    line: "(passage.opens === null || textOf(row, `opens_${nth}`) !== 'false')",
    sabotage: 'passage.opens === null',
    tests: ['contract', `${ETL}/rows.test.ts`],
  },
]
