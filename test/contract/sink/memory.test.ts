import { memoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryControl } from '../../../shared/adapters/memory/control.ts'
import { memorySink } from '../../../shared/adapters/memory/sink.ts'
import { sinkContract } from './suite.ts'

for (const refusal of ['batch', 'item'] as const) {
  sinkContract(`memory, refusing by ${refusal}`, {
    runs: 100,
    fences: true,
    floors: true,
    make: async () => {
      const analytics = memoryAnalytics()
      const clock = memoryClock()
      return {
        subject: {
          sink: memorySink({
            analytics,
            clock,
            bronze: true,
            refusal,
            refuses: ({ after }) => (after?.includes('"score":{') === true ? { code: '22P02', message: 'score is no number.' } : null),
          }),
          control: memoryControl({ analytics, clock }),
          refusal,
          poison: { score: {} },
          row: async (key) => {
            const row = analytics.silver.get('public.leads')?.get(key)
            if (row === undefined) return undefined
            const { name } = row.after === null ? { name: null } : (JSON.parse(row.after) as { name: string })
            return { version: row.version, deleted: row.after === null, name }
          },
          kept: async (ids) => ids.filter((id) => analytics.bronze.has(id)),
        },
        close: async () => {},
      }
    },
  })
}
