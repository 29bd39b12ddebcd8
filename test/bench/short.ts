/** A look at the speed that is cheap enough for every run of CI: it is printed, and nobody is failed for being slow. */
import { endToEnd } from './hops.ts'
import { latencyAt } from './latency.ts'
import { percentilesOf } from './percentiles.ts'
import type { Report } from './report.ts'
import type { BenchStack } from './stack.ts'
import { leadsWorkload } from './workload.ts'

const RATE = 50
const WARM_UP_ROWS = 2_000

export async function short(stack: BenchStack, report: Report, { rows, seconds }: { readonly rows: number; readonly seconds: number }): Promise<void> {
  await latencyAt(stack, RATE, 2)
  await report.measure(`latency at ${RATE} rows/s`, async () => {
    const found = await latencyAt(stack, RATE, seconds)
    const missing = 2 * found.rows - found.postgres.length - found.elasticsearch.length
    return { rate: RATE, rows: found.rows, missing, postgres: percentilesOf(found.postgres), elasticsearch: percentilesOf(found.elasticsearch) }
  })
  await stack.consumer('elasticsearch', 'stop')
  await endToEnd(stack, leadsWorkload, WARM_UP_ROWS, ['postgres'])
  await report.measure('end to end, silver and bronze', () => endToEnd(stack, leadsWorkload, rows, ['postgres']))
}
