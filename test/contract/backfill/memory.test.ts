import { systemClock } from '../../../shared/adapters/clock.ts'
import { memoryBackfills } from '../../../shared/adapters/memory/backfills.ts'
import { memorySource } from '../../../shared/adapters/memory/source.ts'
import { backfillContract } from './suite.ts'

const TABLE = 'public.items'

backfillContract('in memory', async () => {
  const clock = systemClock()
  const source = memorySource({ clock })
  const broken = new Set<string>()
  const write = (table: string, id: number, after: string | null) => {
    const transaction = source.begin()
    transaction.write({ table, key: `[${id}]`, after })
    transaction.commit()
  }
  return {
    backfills: memoryBackfills({ source, clock, captured: [TABLE], isBroken: (key) => broken.has(key) }),
    insert: async (...ids) => ids.forEach((id) => write(TABLE, id, `{"id":${id}}`)),
    remove: async (id) => write(TABLE, id, null),
    lock: async (id) => {
      const transaction = source.begin()
      transaction.write({ table: TABLE, key: `[${id}]`, after: `{"id":${id}}` })
      return async () => transaction.rollback()
    },
    reads: async () => source.waiting.filter(({ op }) => op === 'read').map(({ key }) => key),
    crowd: async (changes) => Array.from({ length: changes }, (_, id) => write('public.others', id, '{}')).forEach(() => undefined),
    spoil: async (id) => void broken.add(`[${id}]`),
  }
})
