/**
 * Makes everything ready that a definition needs before its functions run: the source after a restore, shards, tables, topics, indices. Run at every deploy
 * and every local start; running it again changes nothing. Nothing is ever deleted.
 */
import { systemClock } from '../../shared/adapters/clock.ts'
import type { ElasticsearchSettings } from '../../shared/adapters/elasticsearch/client.ts'
import { kafkaClient } from '../../shared/adapters/kafka/connection.ts'
import { kafkaFault } from '../../shared/adapters/kafka/faults.ts'
import { prepareTopics } from '../../shared/adapters/kafka/topics.ts'
import type { KafkaSettings } from '../../shared/config.ts'
import { type AnyPipeline, shardsOf } from '../../shared/engine/define.ts'
import { assertSound } from '../../shared/engine/definition-faults.ts'
import { AfluenteError, isAfluenteError } from '../../shared/engine/errors.ts'
import { settle } from '../../shared/engine/settled.ts'
import type { Log } from '../../shared/ports/log.ts'
import { checkSilver } from './check-silver.ts'
import { checkSource } from './check-source.ts'
import { indices } from './indices.ts'
import { migrate } from './migrate.ts'
import { liftVersions, rebasedLines, rebaseSource } from './rebase.ts'
import { setShards } from './shards.ts'

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

export interface PrepareOptions {
  readonly pipeline: AnyPipeline
  readonly analyticsUrl: string
  readonly kafka: KafkaSettings
  /** Left out where the definition has no Elasticsearch, or none is there yet. */
  readonly elasticsearch?: ElasticsearchSettings | undefined
  /** Compared with the definition where it is given. */
  readonly sourceUrl?: string | undefined
  /** Told what was done, a line at a time. */
  readonly onStep: (text: string) => void
  readonly signal?: AbortSignal
}

/**
 * Throws `misconfigured` with all faults of a wrong definition before anything connects, the same with all differences of the
 * source, or of silver's keys, before anything is changed, and `unavailable` with the part that can't be reached.
 */
export async function prepare({
  pipeline,
  analyticsUrl,
  kafka,
  elasticsearch,
  sourceUrl,
  onStep,
  signal = new AbortController().signal,
}: PrepareOptions): Promise<void> {
  assertSound(pipeline)
  const sourceLines = sourceUrl === undefined ? [] : await source(sourceUrl, pipeline)
  sourceLines.forEach((line) => onStep(`source database: ${line}`))
  const checked = await settle(checkSilver(analyticsUrl, pipeline.tables))
  // What refuses the deploy comes before anything is changed. A database that is away is told with the other parts.
  if (!checked.ok && isAfluenteError(checked.error) && checked.error.kind === 'misconfigured') throw checked.error
  const migrated = checked.ok ? migrate(analyticsUrl) : Promise.reject(checked.error)
  const outcomes = await Promise.allSettled([
    sourceUrl === undefined ? undefined : mendSource(sourceUrl, pipeline, (line) => onStep(`source database: ${line}`)),
    migrated.then((files) => onStep(files.length === 0 ? 'analytics database: up to date' : `analytics database: applied ${files.join(', ')}`)),
    topics(kafka, pipeline, signal).then((lines) => lines.forEach((line) => onStep(`topics: ${line}`))),
    elasticsearch === undefined
      ? undefined
      : // Aliases need the floors. Without the tables they wait for the next deploy; that fault is told by itself.
        migrated.then(
          () => indices({ pipeline, elasticsearch, analyticsUrl, signal, onLine: (text) => onStep(`elasticsearch: ${text}`) }),
          () => undefined,
        ),
  ])
  const faults = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  if (faults.length === 1) throw faults[0]
  if (faults.length > 1) {
    const texts = faults.map((fault) => `  - ${fault instanceof Error ? fault.message : String(fault)}`)
    throw new AfluenteError('unavailable', 'prepare', `${faults.length} parts could not be prepared:\n${texts.join('\n')}`, { cause: faults[0] })
  }
}

/** One after the other: each keeps the others off the outbox. */
async function mendSource(url: string, pipeline: AnyPipeline, onLine: (line: string) => void): Promise<void> {
  rebasedLines(await rebaseSource(url)).forEach(onLine)
  await liftVersions(url)
  onLine(await setShards(url, shardsOf(pipeline)))
}

async function topics(settings: KafkaSettings, pipeline: AnyPipeline, signal: AbortSignal): Promise<readonly string[]> {
  const admin = kafkaClient(settings, { clientId: 'afluente-prepare', log: SILENT, retries: 5 }).admin()
  try {
    await admin.connect()
    const lines = await prepareTopics({ admin, clock: systemClock() }, pipeline, { signal })
    return lines.length === 0 ? ['up to date'] : lines
  } catch (error) {
    throw kafkaFault(error, `Preparing the topics at ${settings.brokers.join(', ')}`)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** Nothing differs, or `misconfigured` with all that does. */
async function source(url: string, { tables }: AnyPipeline): Promise<readonly string[]> {
  const { differences, undefinedColumns } = await checkSource(url, tables)
  if (differences.length > 0) {
    const list = differences.map((difference) => `  - ${difference}`).join('\n')
    throw new AfluenteError(
      'misconfigured',
      'source',
      `The source database and shared/pipeline.ts differ in ${differences.length} point(s):\n${list}\nNothing was changed. Mend the one or the other, then run this again.`,
    )
  }
  return ['as defined', ...undefinedColumns.map((column) => `${column} is in no definition: it reaches bronze alone`)]
}
