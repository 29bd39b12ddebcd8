/** How many rows a second each hop moves alone, and all of them together. */
import { randomUUID } from 'node:crypto'
import { documentSpan, markedLeads } from './elasticsearch.ts'
import { captureAlone, caughtUp, consumers, endToEnd, sinkAlone, eachHop } from './hops.ts'
import type { Report } from './report.ts'
import type { BenchStack } from './stack.ts'
import { limits } from './throughput-limits.ts'
import { insertLeads, perSecond } from './throughput-rows.ts'
import { leadsWorkload } from './workload.ts'

export interface ThroughputOptions {
  readonly rows: number
  /** Leaves each hop alone, and what the parts take without this project, out. */
  readonly endToEndOnly: boolean
}

export async function throughput(stack: BenchStack, report: Report, { rows, endToEndOnly }: ThroughputOptions): Promise<void> {
  if (stack.own && !endToEndOnly) await hops(stack, report, rows)
  await stack.consumer('elasticsearch', 'stop')
  await stack.consumer('postgres', 'resume')
  await report.measure('end to end, silver and bronze', () => endToEnd(stack, leadsWorkload, rows, ['postgres']))
  await stack.consumer('postgres', 'stop')
  await stack.consumer('elasticsearch', 'resume')
  await caughtUp(stack, ['elasticsearch'])
  await report.measure('end to end, Elasticsearch', () => endToEnd(stack, leadsWorkload, rows, ['elasticsearch']))
  await stack.consumer('postgres', 'resume')
  await caughtUp(stack)
  await report.measure('end to end, silver, bronze and Elasticsearch', () => endToEnd(stack, leadsWorkload, rows, consumers))
}

/** For a stack whose definition keeps no bronze. */
export async function silverOnly(stack: BenchStack, report: Report, { rows }: ThroughputOptions): Promise<void> {
  await stack.consumer('elasticsearch', 'stop')
  await endToEnd(stack, leadsWorkload, Math.min(rows, 5_000), ['postgres'])
  await report.measure('end to end, silver alone', () => endToEnd(stack, leadsWorkload, rows, ['postgres']))
  await report.measure('postgres alone: Kafka to silver', async () => (await eachHop(stack, leadsWorkload, rows)).sink)
}

async function hops(stack: BenchStack, report: Report, rows: number): Promise<void> {
  const mark = `bench ${randomUUID()}`
  await stack.part('edge', 'stop')
  for (const consumer of consumers) await stack.consumer(consumer, 'stop')
  await report.measure('source: inserts without a trigger', async () => {
    await stack.source.query('create schema bench; create table bench.leads (like public.leads including all)')
    const ms = await insertLeads(stack.source, 'bench.leads', mark, rows)
    await stack.source.query('drop schema bench cascade')
    return { rows, ms: Math.round(ms), rowsPerSecond: perSecond(rows, ms) }
  })
  await report.measure('source: inserts with the trigger', async () => {
    const ms = await insertLeads(stack.source, 'public.leads', mark, rows)
    return { rows, ms: Math.round(ms), rowsPerSecond: perSecond(rows, ms) }
  })
  await limits(stack, report, mark)
  await report.measure('capture alone: outbox to Kafka', () => captureAlone(stack, leadsWorkload, rows))
  const span = {
    postgres: () => leadsWorkload.span(stack.analytics, 'silver', mark),
    elasticsearch: () => documentSpan(stack.info.elasticsearch.url, markedLeads, mark),
  }
  for (const consumer of consumers) await report.measure(`${consumer} alone: Kafka to the sink`, () => sinkAlone(stack, consumer, span[consumer]))
}
