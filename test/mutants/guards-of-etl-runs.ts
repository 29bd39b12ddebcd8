/** The guards of how ETL runs begin and go on: once a moment, once a key, one step at a time, and never forgotten. */
import type { Guard } from './guard.ts'

const WORKER = 'functions/etl/handler.ts'
const REQUEST = 'functions/api/etl/request.ts'
const RUNS = 'functions/api/etl/runs.ts'
const BEGINS = ['unit', 'test/unit/etl/worker.test.ts'] as const
const PUBLISH = 'shared/engine/etl-publish.ts'
const TOPIC = ['contract', 'test/contract/etl/topic.test.ts'] as const
const EMPTYING = 'shared/engine/etl-emptying.ts'
const EMPTIED = ['contract', 'test/contract/etl/emptying.test.ts'] as const
const WIRE = ['unit', 'test/unit/postgres/wire.test.ts'] as const
const API = ['contract', 'test/contract/api/etl.test.ts'] as const

export const guardsOfEtlRuns: readonly Guard[] = [
  {
    name: 'a moment of a schedule is one run, whoever begins it',
    file: WORKER,
    line: `await runIdOf(['scheduled', job, kind, String(moment)])`,
    sabotage: `await runIdOf(['scheduled', job, kind, String(moment), owner])`,
    tests: BEGINS,
  },
  {
    name: 'only a Worker that may come back is waited for',
    file: 'infra/cli/patience.ts',
    line: 'if (!(error instanceof Away)) throw error',
    sabotage: 'if (!(error instanceof Error)) throw error',
    tests: ['unit', 'test/unit/cli/etl.test.ts'],
  },
  {
    name: 'a moment that met another run waits for its end',
    file: WORKER,
    line: `if (begun.status === 'busy') return begun.run`,
    sabotage: `if (begun.status === 'busy') await memory.write(kind, now)`,
    tests: BEGINS,
  },
  {
    name: 'moments that were missed are one run',
    file: WORKER,
    line: 'await memory.write(kind, now)',
    sabotage: 'await memory.write(kind, moment)',
    tests: BEGINS,
  },
  {
    name: 'an ETL job has one step at a time',
    file: WORKER,
    line: 'if (working) return\n',
    sabotage: '\n',
    tests: BEGINS,
  },
  {
    name: 'a run that is begun at the end of a step is seen at once',
    file: WORKER,
    line: 'if (hurried) waitMs = 0',
    sabotage: '',
    tests: BEGINS,
  },
  {
    name: 'an alarm that was lost with its process is set anew',
    file: WORKER,
    line: 'if (pending === null || pending < clock.now() - LOST_MS)',
    sabotage: 'if (pending === null)',
    tests: BEGINS,
  },
  {
    name: 'a fault is waited for as long as the run says',
    file: WORKER,
    line: 'if (pending === null || pending < clock.now() - LOST_MS)',
    sabotage: 'if (true)',
    tests: BEGINS,
  },
  {
    name: 'the same Idempotency-Key is the same run',
    file: RUNS,
    line: `await runIdOf(['asked', job.value, key.value])`,
    sabotage: `newId()`,
    tests: API,
  },
  {
    name: 'the same Idempotency-Key under another request is refused',
    file: RUNS,
    line: `if (started.status === 'repeated' && !isSame(started.run, asked.value))`,
    sabotage: 'if (false)',
    tests: API,
  },
  {
    name: 'a span is compared to the microsecond',
    file: REQUEST,
    line: `BigInt(fraction.padEnd(6, '0').slice(0, 6))`,
    sabotage: '0n',
    tests: API,
  },
  {
    name: 'overdue counts from a run that ended well',
    file: 'functions/api/etl/health.ts',
    line: 'state: { job, lastReconcile, lastSuccess, running } }',
    sabotage: 'state: { job, lastReconcile, last: lastSuccess, running } }',
    tests: API,
  },
  {
    name: 'what was missed twice is overdue only once it had time to begin',
    file: 'shared/engine/etl-schedule.ts',
    line: 'second + GRACE_MS <= nowMs',
    sabotage: 'second <= nowMs',
    tests: ['unit', 'test/unit/etl/schedule.test.ts'],
  },
  {
    name: 'what an ETL job changed waits for its topic, and is forgotten once Kafka has it',
    file: PUBLISH,
    line: 'if (!(await publishSend(send, context, ',
    sabotage: 'if (send.bytes < 0 && !(await publishSend(send, context, ',
    tests: TOPIC,
  },
  {
    name: 'a page of an ETL job is on its topic before the next is written',
    file: 'shared/engine/etl-run.ts',
    line: 'store: job.topic === undefined ? store : publishing(outgoing)',
    sabotage: 'store',
    tests: TOPIC,
  },
  {
    name: 'what a process that died left unpublished is published by the next step',
    file: 'shared/engine/etl-run.ts',
    line: 'if (taken.unpublished) await',
    sabotage: 'if (taken.unpublished && job.topic !== undefined) await',
    tests: TOPIC,
  },
  {
    name: 'versions of an ETL job go on though the clock steps back',
    file: 'shared/adapters/postgres/etl-outgoing.ts',
    line: 'greatest(v.version + (select n from many), excluded.version)',
    sabotage: 'excluded.version',
    tests: TOPIC,
  },
  {
    name: 'versions of an ETL job are lifted to the clock after a restore',
    file: 'shared/adapters/postgres/etl-outgoing.ts',
    line: 'greatest(v.version + (select n from many), excluded.version)',
    sabotage: 'v.version + (select n from many)',
    tests: TOPIC,
  },
  {
    name: 'a column of an ETL job may be called as the row that is published',
    file: 'shared/adapters/postgres/etl-outgoing.ts',
    line: '(select ops.etl_image(r.*) from (select ${columns}) as r)',
    sabotage: '(select ops.etl_image(r) from (select ${columns}) as r)',
    tests: ['contract', 'test/contract/etl/names.test.ts'],
  },
  {
    name: 'a dry run publishes nothing',
    file: 'shared/adapters/postgres/etl-outgoing.ts',
    line: 'if (job.topic === undefined || dryRun) return',
    sabotage: 'if (job.topic === undefined) return',
    tests: TOPIC,
  },
  {
    name: 'a source that has lost most of its rows does not empty the copy',
    file: EMPTYING,
    line: 'if (there > 0 && (gone * 2 <= keys.length || gone <= FEW)) return',
    sabotage: 'return',
    tests: EMPTIED,
  },
  {
    name: 'few rows that are all of them are not few',
    file: EMPTYING,
    line: 'if (there > 0 && (gone * 2',
    sabotage: 'if ((gone * 2',
    tests: EMPTIED,
  },
  {
    name: 'a reconcile asks the source before it takes rows out, as a full load does',
    file: 'shared/engine/etl-begin.ts',
    line: "(loadType === 'full' || loadType === 'reconcile') && !taken",
    sabotage: "loadType === 'full' && !taken",
    tests: EMPTIED,
  },
  {
    name: 'rows are looked for among those that silver shows',
    file: 'shared/adapters/postgres/etl-store.ts',
    line: '${part} where _deleted_at is null',
    sabotage: '${part}',
    tests: EMPTIED,
  },
  {
    name: 'a part with few living rows is not taken for the whole',
    file: 'shared/adapters/postgres/etl-store.ts',
    line: 'some.length < most ?',
    sabotage: 'percent >= 100 ?',
    tests: EMPTIED,
  },
  {
    name: 'a reconcile that failed is told though loads end well after it',
    file: 'functions/api/etl/health.ts',
    line: 'const failed = [last, ...(lastCompared?.id === last?.id ? [] : [lastCompared])]',
    sabotage: 'const failed = [last, ...(lastCompared?.id === last?.id ? [] : [null])]',
    tests: API,
  },
  {
    name: 'a column of an ETL job may be called what its statements call things',
    file: 'shared/adapters/postgres/etl-write-statement.ts',
    line: 'list.map((name) => `c.${name}`)',
    sabotage: 'list.map((name) => `${name}`)',
    tests: ['contract', 'test/contract/etl/names.test.ts'],
  },
  {
    name: 'an ETL job that failed is no part that is down',
    file: 'functions/api/ready.ts',
    line: 'return { ok: parts.every(({ ok }) => ok), parts,',
    sabotage: 'return { ok: parts.every(({ ok }) => ok) && (await jobs)?.every(({ ok }) => ok) !== false, parts,',
    tests: API,
  },
  {
    name: 'a page stays as it was read when the next one comes over the same connection',
    file: 'shared/adapters/postgres/wire.ts',
    line: 'const bytes = Buffer.from(message)',
    sabotage: 'const bytes = message',
    tests: WIRE,
  },
  {
    name: 'what a connection sends is cut at the ends of its messages',
    file: 'shared/adapters/postgres/wire.ts',
    line: 'if (end > 0) pass(chunk.subarray(0, end))',
    sabotage: 'if (end > 0) pass(chunk)',
    tests: WIRE,
  },
  {
    name: 'an ETL job has a topic of its own',
    file: 'shared/engine/etl-faults.ts',
    line: 'return owner === undefined ? []',
    sabotage: "return owner !== 'nobody' ? []",
    tests: ['unit', 'test/unit/etl/faults.test.ts'],
  },
]
