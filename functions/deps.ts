/** The one place where adapters meet ports. Nothing is connected here: clients are made when a request or a run needs them, and closed after it. */
import manifest from '../package.json' with { type: 'json' }
import { systemClock } from '../shared/adapters/clock.ts'
import { elasticsearchClient } from '../shared/adapters/elasticsearch/client.ts'
import { elasticsearchCopies } from '../shared/adapters/elasticsearch/copies.ts'
import { elasticsearchShadows } from '../shared/adapters/elasticsearch/shadows.ts'
import { elasticsearchSink } from '../shared/adapters/elasticsearch/sink.ts'
import { elasticsearchTombstones } from '../shared/adapters/elasticsearch/tombstones.ts'
import { kafkaClient } from '../shared/adapters/kafka/connection.ts'
import { kafkaFault } from '../shared/adapters/kafka/faults.ts'
import { kafkaPublisher } from '../shared/adapters/kafka/publisher.ts'
import { kafkaRecordAges } from '../shared/adapters/kafka/record-ages.ts'
import { kafkaSubscription } from '../shared/adapters/kafka/subscription.ts'
import { kafkaWatermarks } from '../shared/adapters/kafka/watermarks.ts'
import { consoleLog } from '../shared/adapters/log.ts'
import { postgresControl } from '../shared/adapters/postgres/control.ts'
import { postgresEtlControl } from '../shared/adapters/postgres/etl-control.ts'
import { postgresLetters } from '../shared/adapters/postgres/letters.ts'
import { postgresOperations } from '../shared/adapters/postgres/operations.ts'
import type { ClosableDb } from '../shared/adapters/postgres/pool.ts'
import { postgresPurges } from '../shared/adapters/postgres/purges.ts'
import { postgresReconciliations } from '../shared/adapters/postgres/reconciliations.ts'
import { postgresRedrives } from '../shared/adapters/postgres/redrives.ts'
import { postgresReplays } from '../shared/adapters/postgres/replays.ts'
import { postgresShadows } from '../shared/adapters/postgres/shadows.ts'
import { postgresSink } from '../shared/adapters/postgres/sink.ts'
import { postgresTombstones } from '../shared/adapters/postgres/tombstones.ts'
import { postgresCopies, postgresHistory } from '../shared/adapters/postgres/traces.ts'
import { createCaptureProbe, createDoorbell } from '../shared/adapters/supabase/doorbell.ts'
import { restClient } from '../shared/adapters/supabase/rest-client.ts'
import { supabaseOutbox } from '../shared/adapters/supabase/outbox.ts'
import { supabaseWaiting } from '../shared/adapters/supabase/waiting.ts'
import { type WorkerSettings, workerSettings } from '../shared/config.ts'
import { runConsumer } from '../shared/engine/consumer-run.ts'
import { type AnyConsumer, type AnyPipeline, groupOf } from '../shared/engine/define.ts'
import { demandsOf } from '../shared/engine/definition-faults.ts'
import { createDeliver } from '../shared/engine/deliver.ts'
import { AfluenteError } from '../shared/engine/errors.ts'
import { keepLooking } from '../shared/engine/keep-looking.ts'
import { createPersist } from '../shared/engine/persist.ts'
import { createPurge } from '../shared/engine/purge.ts'
import { createRedrive } from '../shared/engine/redrive.ts'
import { createReplay } from '../shared/engine/replay.ts'
import { pipeline as definition } from '../shared/pipeline.ts'
import type { Cancellable } from '../shared/ports/cancellable.ts'
import type { Control } from '../shared/ports/control.ts'
import type { Fields } from '../shared/ports/log.ts'
import type { Outbox } from '../shared/ports/outbox.ts'
import type { Purges, Tombstones } from '../shared/ports/purges.ts'
import type { Shadows } from '../shared/ports/shadows.ts'
import type { Sink } from '../shared/ports/sink.ts'
import type { Copies } from '../shared/ports/traces.ts'
import { createComparing } from './comparing.ts'
import { reconcileDue } from './cron/reconcile.ts'
import { analyticsDb, withAnalytics } from './analytics.ts'
import type { ApiDeps, Probe } from './api/deps.ts'
import { sourceProbe } from './api/ready.ts'
import type { CronDeps } from './cron/handler.ts'
import type { RunOptions } from './deliver/handler.ts'
import type { Env } from './environment.ts'
import { createEtlWorker, type EtlWorker, type EtlWorkerDeps } from './etl/handler.ts'
import { etlSession } from './etl/session.ts'
import { etlObjectsOf, fleetOf } from './objects.ts'

export const pipeline: AnyPipeline = definition

/** A Worker may wait for six connections at once: three for Postgres leave three for Kafka. */
const RUN_CONNECTIONS = 3
/** An available-now run that has more to read goes on with the next minute's wake-up. */
const AVAILABLE_NOW_BUDGET_MS = 50_000
const API_CONNECTIONS = 2
/** A cron of each minute may run for a quarter of an hour; what is not over by then is taken for hanging. */
const RECONCILE_BUDGET_MS = 600_000
/** With two of the source below the six that a Worker may wait for. */
const ETL_CONNECTIONS = 2

export function runtime(base: Fields) {
  return { clock: systemClock(), log: consoleLog({ base }), random: Math.random }
}

/** Checked settings and definition. Throws `misconfigured` with every fault of both. */
export function soundSettings(env: Env): WorkerSettings {
  return workerSettings(env, demandsOf(pipeline))
}

/** One run of an instance of a consumer. */
export function consumerRun(env: Env, name: string, instance: number): (options: RunOptions) => Promise<void> {
  return async ({ signal, conditions, nudge }) => {
    const settings = soundSettings(env)
    const consumer = pipeline.consumers[name]
    if (consumer === undefined) throw new AfluenteError('misconfigured', 'unknown-consumer', `No consumer is named ${name}.`)
    const { clock, log, random } = runtime({ function: 'deliver', instance })
    const db = analyticsDb(settings, RUN_CONNECTIONS)
    const kafka = () => kafkaClient(settings.kafka, { clientId: `afluente-deliver-${name}`, log })
    const publisher = kafkaPublisher({ kafka: kafka() })
    const control = postgresControl({ db })
    try {
      const persist = createPersist({ consumer: name, clock, log, random, conditions, nudge })
      const side = { consumer: name, tables: pipeline.tables, sink: sinkOf(consumer, settings, db, control), control, clock, log, random }
      const handle = createDeliver({ ...side, owner: `${name}:${instance}`, publisher, persist })
      const redrive = createRedrive({ ...side, owner: `${name}:${instance}/redrive`, redrives: postgresRedrives({ db }) })
      const replay = createReplay({
        ...side,
        owner: `${name}:${instance}/replay`,
        sink: rowsOf(consumer, settings, db, control),
        shadows: shadowsOf(consumer, settings, db, control),
        replays: postgresReplays({ db }),
      })
      const subscription = kafkaSubscription({
        kafka,
        groupId: groupOf(name),
        topics: consumer.reads,
        maxMessageBytes: pipeline.topics.maxMessageBytes,
        clock,
        log,
        faultOf: kafkaFault,
      })
      const read = new AbortController()
      const running = runConsumer(
        { consumer: name, subscription, handle, conditions, nudge, clock, log, random },
        consumer.mode === 'available-now' ? { signal, untilEnd: true, budgetMs: AVAILABLE_NOW_BUDGET_MS } : { signal, untilEnd: false },
      ).finally(() => read.abort())
      const beside = (kind: string, work: typeof redrive) => keepLooking({ name: kind, work, consumer: name, nudge, log }, { signal, until: read.signal })
      // One instance redrives and replays for the consumer; whoever else did by mistake would be fenced.
      await Promise.all([running, ...(instance === 0 ? [beside('redrive', redrive), beside('replay', replay)] : [])])
    } finally {
      await Promise.allSettled([publisher.close(), db.close()])
    }
  }
}

/** The object of an ETL job. */
export function etlWorker(env: Env, job: string, of: Pick<EtlWorkerDeps, 'alarm' | 'memory'>): EtlWorker {
  const { clock, log, random } = runtime({ function: 'etl', job })
  return createEtlWorker({
    ...of,
    job,
    schedules: pipeline.etl?.[job] ?? {},
    owner: `${job} ${crypto.randomUUID()}`,
    session: (work) => {
      const settings = soundSettings(env)
      return withAnalytics(settings, ETL_CONNECTIONS, (db) =>
        etlSession({ db, jobs: pipeline.etl ?? {}, maxMessageBytes: pipeline.topics.maxMessageBytes, settings, clock, log, random }, work),
      )
    },
    codeVersion: manifest.version,
    clock,
    log,
    random,
  })
}

/** What the API needs for one request; `close` after the answer. */
export function apiDeps(env: Env, settings: WorkerSettings): ApiDeps & { close(): Promise<void> } {
  const { clock, log } = runtime({ function: 'api' })
  const db = analyticsDb(settings, API_CONNECTIONS)
  const outbox = outboxOf(settings)
  const watermarks = kafkaWatermarks({ kafka: () => kafkaClient(settings.kafka, { clientId: 'afluente-api', log, retries: 0 }), faultOf: kafkaFault })
  const { elasticsearch } = settings
  const probes: readonly Probe[] = [
    { name: 'analytics', look: (options) => db.query({ text: 'select 1', values: [] }, options) },
    { name: 'kafka', look: (options) => watermarks.read(topicsRead(), options) },
    sourceProbe(outbox),
    { name: 'capture', look: createCaptureProbe({ supabaseUrl: settings.supabase.url }) },
    ...(elasticsearch === undefined
      ? []
      : [{ name: 'elasticsearch', look: ({ signal }: { readonly signal: AbortSignal }) => elasticsearchClient(elasticsearch).info({}, { signal }) }]),
  ]
  return {
    token: settings.apiToken,
    version: manifest.version,
    environment: settings.environment,
    pipeline,
    probes,
    fleet: fleetOf(env, pipeline),
    control: postgresControl({ db }),
    operations: postgresOperations(db),
    letters: postgresLetters({ db }),
    redrives: postgresRedrives({ db }),
    purges: postgresPurges({ db }),
    reconciliations: postgresReconciliations({ db }),
    replays: postgresReplays({ db }),
    shadows: Object.fromEntries(
      Object.entries(pipeline.consumers).map(([name, consumer]) => [name, () => shadowsOf(consumer, settings, db, postgresControl({ db }))]),
    ),
    send: async (message, options) => {
      const publisher = kafkaPublisher({ kafka: kafkaClient(settings.kafka, { clientId: 'afluente-api', log }) })
      const { tooLarge } = await publisher.publish([message], options).finally(() => publisher.close())
      return tooLarge.length === 0
    },
    traces: {
      ...supabaseWaiting({ client: restClient(settings.supabase) }),
      ...postgresHistory(db),
      copies: Object.fromEntries(Object.entries(pipeline.consumers).map(([name, consumer]) => [name, copiesOf(consumer, settings, db)])),
    },
    outbox,
    watermarks,
    etl: { control: postgresEtlControl({ db }), objects: etlObjectsOf(env) },
    newId: () => crypto.randomUUID(),
    ring: createDoorbell({ supabaseUrl: settings.supabase.url, webhookSecret: settings.webhookSecret }),
    clock,
    log,
    close: () => db.close(),
  }
}

export function cronDeps(env: Env, settings: WorkerSettings): CronDeps {
  return {
    consumers: Object.keys(pipeline.consumers),
    wake: (consumer) => fleetOf(env, pipeline).wake(consumer),
    etl: {
      jobs: Object.keys(pipeline.etl ?? {}),
      going: (options) => withAnalytics(settings, 1, async (db) => (await postgresEtlControl({ db }).running(options)).map(({ job }) => job)),
      tick: etlObjectsOf(env).tick,
    },
    outbox: outboxOf(settings),
    ring: createDoorbell({ supabaseUrl: settings.supabase.url, webhookSecret: settings.webhookSecret }),
    purge: (options) => withAnalytics(settings, 1, (db) => purgeTombstones(settings, db, options)),
    reconcile: () => reconcileScheduled(settings, { signal: AbortSignal.timeout(RECONCILE_BUDGET_MS) }),
    log: runtime({ function: 'cron' }).log,
  }
}

/** Nothing where no SOURCE_DATABASE_URL is given: then only the command line compares. */
async function reconcileScheduled(settings: WorkerSettings, options: Cancellable): Promise<void> {
  const { sourceUrl } = settings
  if (sourceUrl === undefined) return
  const { clock, log } = runtime({ function: 'reconcile' })
  await withAnalytics(settings, 1, async (db) => {
    const comparing = createComparing({ pipeline, settings: { ...settings, sourceUrl }, analytics: db, log })
    await reconcileDue({ ...comparing, pipeline, owner: crypto.randomUUID(), clock, log }, options).finally(() => comparing.close())
  })
}

async function purgeTombstones(settings: WorkerSettings, db: ClosableDb, options: Cancellable): Promise<void> {
  const { clock, log } = runtime({ function: 'purge' })
  const purges = postgresPurges({ db })
  const kafka = { kafka: () => kafkaClient(settings.kafka, { clientId: 'afluente-purge', log, retries: 0 }), faultOf: kafkaFault }
  const tombstonesOf = (name: string) => tombstonesOfSink(pipeline.consumers[name], settings, db, purges)
  const parts = { ages: kafkaRecordAges(kafka), watermarks: kafkaWatermarks(kafka), outbox: outboxOf(settings), control: postgresControl({ db }) }
  await createPurge({ pipeline, purges, tombstonesOf, ...parts, owner: crypto.randomUUID(), clock, log })(options)
}

function sinkOf(consumer: AnyConsumer, { elasticsearch }: WorkerSettings, db: ClosableDb, control: Control): Sink {
  if (consumer.sink.kind === 'postgres') return postgresSink({ db, tables: pipeline.tables, bronze: consumer.sink.bronze, silver: consumer.sink.silver })
  if (elasticsearch === undefined) throw new AfluenteError('misconfigured', 'environment', 'ELASTICSEARCH_URL: missing.')
  return elasticsearchSink({ client: elasticsearchClient(elasticsearch), control, clock: systemClock(), random: Math.random, indices: consumer.sink.indices })
}

function tombstonesOfSink(consumer: AnyConsumer | undefined, { elasticsearch }: WorkerSettings, db: ClosableDb, purges: Purges): Tombstones | undefined {
  if (consumer === undefined) return undefined
  if (consumer.sink.kind === 'postgres') return consumer.sink.silver ? postgresTombstones({ db }) : undefined
  return elasticsearch === undefined
    ? undefined
    : elasticsearchTombstones({ client: elasticsearchClient(elasticsearch), indices: consumer.sink.indices, purges })
}

/** The sink without bronze, where what is replayed comes from. */
function rowsOf(consumer: AnyConsumer, settings: WorkerSettings, db: ClosableDb, control: Control): Sink {
  if (consumer.sink.kind === 'postgres') return postgresSink({ db, tables: pipeline.tables, bronze: false, silver: true })
  return sinkOf(consumer, settings, db, control)
}

function shadowsOf({ sink }: AnyConsumer, { elasticsearch }: WorkerSettings, db: ClosableDb, control: Control): Shadows {
  if (sink.kind === 'postgres') return postgresShadows({ db, tables: pipeline.tables })
  if (elasticsearch === undefined) throw new AfluenteError('misconfigured', 'environment', 'ELASTICSEARCH_URL: missing.')
  return elasticsearchShadows({ client: elasticsearchClient(elasticsearch), control, clock: systemClock(), random: Math.random, indices: sink.indices })
}

/** What is asked of a sink about one key; none where it keeps no rows. */
function copiesOf({ sink }: AnyConsumer, { elasticsearch }: WorkerSettings, db: ClosableDb): Copies | undefined {
  if (sink.kind === 'postgres') return sink.silver ? postgresCopies(db) : undefined
  return elasticsearch === undefined ? undefined : elasticsearchCopies({ client: elasticsearchClient(elasticsearch) })
}

function outboxOf({ supabase }: WorkerSettings): Outbox {
  return supabaseOutbox({ client: restClient(supabase) })
}

function topicsRead(): readonly string[] {
  return [...new Set(Object.values(pipeline.consumers).flatMap(({ reads }) => reads))]
}
