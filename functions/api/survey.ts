/** What is known of the consumers: state, counters and lag, put together from parts that are asked at once. */
import type { AnyConsumer } from '../../shared/engine/define.ts'
import type { Progress } from '../../shared/ports/control.ts'
import type { Backlog } from '../../shared/ports/outbox.ts'
import type { DeadLetterCount } from '../../shared/ports/operations.ts'
import type { PurgeState } from '../../shared/ports/purges.ts'
import type { Verdict } from '../../shared/ports/reconciliations.ts'
import type { Watermark } from '../../shared/ports/watermarks.ts'
import type { InstanceStatus } from '../deliver/handler.ts'
import { type Answer, ask, valueOf } from './asking.ts'
import type { ApiDeps } from './deps.ts'
import type { EtlSurvey } from './etl/health.ts'
import { askEtl } from './etl/jobs.ts'

export interface PartitionLag {
  readonly topic: string
  readonly partition: number
  /** Records written and not settled in the sink. */
  readonly lag: number
}

export interface Counters {
  readonly consumed: number
  readonly accepted: number
  readonly duplicate: number
  readonly late: number
  readonly dead: number
}

export interface ConsumerSurvey {
  readonly name: string
  readonly mode: AnyConsumer['mode']
  readonly sink: string
  readonly reads: readonly string[]
  readonly instances: readonly InstanceStatus[]
  /** The worst of its instances'. */
  readonly state: InstanceStatus['state']
  readonly reason: string
  /** Null when Kafka or the analytics database did not answer. */
  readonly lag: number | null
  readonly partitions: readonly PartitionLag[]
  readonly counters: Counters | null
  readonly progress: readonly Progress[]
}

export interface Survey {
  readonly consumers: readonly ConsumerSurvey[]
  readonly outbox: Answer<Backlog>
  readonly deadLetters: Answer<readonly DeadLetterCount[]>
  readonly purges: Answer<readonly PurgeState[]>
  readonly reconciled: Answer<readonly Verdict[]>
  readonly etl: Answer<readonly EtlSurvey[]>
  /** Who did not answer, and why. */
  readonly faults: readonly { readonly part: string; readonly reason: string }[]
}

const SEVERITY: Readonly<Record<InstanceStatus['state'], number>> = { running: 0, idle: 1, stopped: 2, waiting: 3, halted: 4 }

/** Never throws: what can't be known now is null, and stands in `faults`. */
export async function survey(deps: ApiDeps): Promise<Survey> {
  const { pipeline, clock } = deps
  const names = Object.keys(pipeline.consumers)
  const topics = [...new Set(Object.values(pipeline.consumers).flatMap(({ reads }) => reads))]
  const [progress, watermarks, outbox, deadLetters, purges, reconciled, etl, ...instances] = await Promise.all([
    ask((options) => deps.control.progress(options), clock),
    ask((options) => deps.watermarks.read(topics, options), clock),
    ask((options) => deps.outbox.backlog(options), clock),
    ask((options) => deps.operations.deadLetters(options), clock),
    ask((options) => deps.purges.states(options), clock),
    ask((options) => deps.reconciliations.latest(options), clock),
    askEtl(deps),
    ...names.map((name) => ask(() => deps.fleet.status(name), clock)),
  ])
  const consumers = Object.entries(pipeline.consumers).map(([name, consumer], at) =>
    surveyOf(name, consumer, valueOf(progress), valueOf(watermarks), instances[at]),
  )
  const asked = {
    analytics: progress,
    kafka: watermarks,
    supabase: outbox,
    dead_letters: deadLetters,
    purges,
    reconciliations: reconciled,
    etl,
    ...Object.fromEntries(names.map((name, at) => [`consumer ${name}`, instances[at]])),
  }
  const faults = Object.entries(asked).flatMap(([part, answer]) => (answer === undefined || answer.ok ? [] : [{ part, reason: answer.reason }]))
  return { consumers, outbox, deadLetters, purges, reconciled, etl, faults }
}

function surveyOf(
  name: string,
  consumer: AnyConsumer,
  progress: readonly Progress[] | null,
  watermarks: readonly Watermark[] | null,
  answer: Answer<readonly InstanceStatus[]> | undefined,
): ConsumerSurvey {
  const own = progress?.filter((one) => one.consumer === name) ?? []
  const partitions =
    progress === null || watermarks === null ? [] : watermarks.filter(({ topic }) => consumer.reads.includes(topic)).map((mark) => lagOf(mark, own))
  const instances = answer?.ok === true ? answer.value : []
  const worst = instances.reduce<InstanceStatus | undefined>(
    (most, one) => (most === undefined || SEVERITY[one.state] > SEVERITY[most.state] ? one : most),
    undefined,
  )
  return {
    name,
    mode: consumer.mode,
    sink: consumer.sink.kind,
    reads: consumer.reads,
    instances,
    state: worst?.state ?? 'waiting',
    reason: worst?.reason ?? (answer?.ok === false ? answer.reason : ''),
    lag: progress === null || watermarks === null ? null : partitions.reduce((sum, { lag }) => sum + lag, 0),
    partitions,
    counters: progress === null ? null : countersOf(own),
    progress: own,
  }
}

function lagOf({ topic, partition, low, high }: Watermark, progress: readonly Progress[]): PartitionLag {
  const next = BigInt(progress.find((one) => one.topic === topic && one.partition === partition)?.nextOffset ?? '0')
  const from = next > low ? next : low
  return { topic, partition, lag: high > from ? Number(high - from) : 0 }
}

export function countersOf(progress: readonly Progress[]): Counters {
  const sum = (of: (one: Progress) => number) => progress.reduce((total, one) => total + of(one), 0)
  return {
    consumed: sum((one) => one.consumed),
    accepted: sum((one) => one.accepted),
    duplicate: sum((one) => one.duplicate),
    late: sum((one) => one.late),
    dead: sum((one) => one.dead),
  }
}

/** What people are shown of a consumer. */
export function summaryOf({ name, state, reason, mode, sink, reads, instances, lag, counters }: ConsumerSurvey) {
  return { name, state, reason, mode, sink, reads, instances, lag, counters }
}
