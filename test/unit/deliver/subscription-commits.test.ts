import { expect, test } from 'vitest'
import { createCommits, type PartitionOffset } from '../../../shared/adapters/kafka/subscription-commits.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'

const at = (partition: number, offset: string): PartitionOffset => ({ topic: 't', partition, offset })
const turn = () => new Promise((resolve) => setImmediate(resolve))

function stage({ fails = 0 } = {}) {
  const clock = memoryClock()
  const committed: (readonly PartitionOffset[])[] = []
  const failures: unknown[] = []
  let underWay = 0
  let most = 0
  let left = fails
  const commits = createCommits({
    clock,
    gatherMs: 100,
    onFailure: (error) => void failures.push(error),
    commit: async (offsets) => {
      underWay += 1
      most = Math.max(most, underWay)
      await turn()
      underWay -= 1
      if (left-- > 0) throw new Error('no coordinator')
      committed.push(offsets)
    },
  })
  return { clock, commits, committed, failures, most: () => most }
}

test('marks gather, and only the newest offset of each partition is committed', async () => {
  const { clock, commits, committed } = stage()
  commits.mark(at(0, '5'))
  commits.mark(at(1, '3'))
  commits.mark(at(0, '9'))
  await turn()
  expect(committed).toEqual([])
  clock.next()
  await turn()
  await turn()
  expect(committed).toEqual([[at(0, '9'), at(1, '3')]])
})

test('nothing that was not marked is committed, and nothing twice', async () => {
  const { commits, committed } = stage()
  await commits.flush()
  commits.mark(at(0, '5'))
  await commits.flush()
  await commits.flush()
  expect(committed).toEqual([[at(0, '5')]])
})

test('what is marked while a commit is under way goes with the next one, never beside it', async () => {
  const { clock, commits, committed, most } = stage()
  commits.mark(at(0, '5'))
  clock.next()
  await Promise.resolve()
  commits.mark(at(0, '6'))
  await commits.flush()
  expect(committed.flat().at(-1)).toEqual(at(0, '6'))
  expect(most()).toBe(1)
})

test('marks of partitions that were taken away are forgotten', async () => {
  const { commits, committed } = stage()
  commits.mark(at(0, '5'))
  commits.clear()
  await commits.flush()
  expect(committed).toEqual([])
})

test('a commit that fails is told, and the next one goes on', async () => {
  const { commits, committed, failures } = stage({ fails: 1 })
  commits.mark(at(0, '5'))
  await commits.flush()
  expect(failures).toHaveLength(1)
  commits.mark(at(0, '6'))
  await commits.flush()
  expect(committed).toEqual([[at(0, '6')]])
})
