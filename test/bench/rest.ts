/** What the stack costs while little or nothing happens: memory, CPU and calls; and how soon a first change goes out when nobody runs. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { countCpu, untilIdle } from './cpu.ts'
import { difference } from './edge-difference.ts'
import { latencyAt } from './latency.ts'
import { memoryOf, RUNTIMES } from './memory.ts'
import { percentilesOf } from './percentiles.ts'
import type { Report } from './report.ts'
import type { BenchStack } from './stack.ts'
import { insertLeads } from './throughput-rows.ts'
import { until } from './wait.ts'

const RATE = 500
const COLD_STARTS = 10
const COLD_LIMIT_MS = 400
const MEMORY_LIMIT_MB = 250
/** Capture lingers a second after the last row; its isolate is dropped a moment later. */
const LINGER_MS = 3_000

export async function rest(stack: BenchStack, report: Report, { seconds }: { readonly seconds: number }): Promise<void> {
  report.record('the parts of the stack ready, what is downloaded already', { readyMs: stack.readyMs })
  await untilIdle(stack)
  await sleep(LINGER_MS)
  await report.measure('nothing to do', async () => {
    const [cpu, before] = [await countCpu(stack), await stack.edgeStats()]
    await sleep(seconds * 1_000)
    const used = (await cpu?.(seconds)) ?? {}
    return { seconds, cpuMsPerSecond: inMs(used), edge: difference(before, await stack.edgeStats()), pssMb: memoryOf(stack) }
  })
  await latencyAt(stack, 50, 2)
  await report.measure(`memory at ${RATE} rows/s`, async () => {
    const looks: Readonly<Record<string, number>>[] = []
    const writing = latencyAt(stack, RATE, seconds)
    const done = writing.then(
      () => true,
      () => true,
    )
    while (!(await Promise.race([done, sleep(500, false)]))) looks.push(memoryOf(stack))
    await writing
    const most = Object.fromEntries(Object.keys(looks[0] ?? {}).map((part) => [part, Math.max(...looks.map((look) => look[part] ?? 0))]))
    const functions = Math.max(...looks.map((look) => RUNTIMES.reduce((sum, name) => sum + (look[name] ?? 0), 0)))
    return { looks: looks.length, pssMb: most, workerdAndDenoMb: functions, atMost: MEMORY_LIMIT_MB, within: functions <= MEMORY_LIMIT_MB }
  })
  await report.measure('a first change with no isolate: changed to published', async () => {
    const times: number[] = []
    for (let n = 0; n < COLD_STARTS; n += 1) times.push(await coldStart(stack))
    const percentiles = percentilesOf(times)
    return { times: times.length, ...percentiles, atMost: COLD_LIMIT_MS, within: (percentiles.maxMs ?? Infinity) <= COLD_LIMIT_MS }
  })
}

/** Milliseconds from the change to the moment at which its record was written for Kafka, by clocks of one machine; sending it takes some more. */
async function coldStart(stack: BenchStack): Promise<number> {
  await sleep(LINGER_MS)
  await stack.endIsolate()
  const mark = `bench ${randomUUID()}`
  await insertLeads(stack.source, 'public.leads', mark, 1)
  let took = Number.NaN
  await until(
    'the first change in bronze',
    async () => {
      const { rows } = await stack.analytics.query<{ ms: number }>(
        `select extract(epoch from b.published_at - b.occurred_at)::float8 * 1000 as ms
       from silver.leads s join bronze.events b on b.event_id = s._event_id where s.company = $1`,
        [mark],
      )
      took = rows[0]?.ms ?? Number.NaN
      return rows.length === 1 || 'it is not there'
    },
    50,
    30_000,
  )
  return took
}

/** Microseconds a second are thousandths of milliseconds a second. */
function inMs(used: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(used).map(([part, us]) => [part, Math.round(us / 100) / 10]))
}
