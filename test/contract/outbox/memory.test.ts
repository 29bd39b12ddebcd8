import { systemClock } from '../../../shared/adapters/clock.ts'
import { memorySource } from '../../../shared/adapters/memory/source.ts'
import { outboxContract } from './suite.ts'

outboxContract('memory', async () => {
  const source = memorySource({ clock: systemClock() })
  return {
    outbox: source.outbox,
    begin: async () => {
      const { write, commit, rollback } = source.begin()
      return {
        insert: async (...ids) => {
          for (const id of ids) write({ table: 'public.items', key: `[${id}]`, after: `{"id":${id}}` })
        },
        commit: async () => commit(),
        rollback: async () => rollback(),
      }
    },
  }
})
