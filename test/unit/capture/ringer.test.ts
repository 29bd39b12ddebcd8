import { expect, test } from 'vitest'
import { createRinger } from '../../../shared/engine/capture-ringer.ts'
import type { Ending } from '../../../shared/engine/capture.ts'

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** Runs that end when they are told to. */
function runs() {
  const started: { readonly shard: number; readonly successor: boolean; readonly look: () => void; readonly end: (ending: Ending) => void }[] = []
  const ringer = createRinger({
    log: silent,
    capture: ({ shard, successor, onLook }) => {
      const { promise, resolve } = Promise.withResolvers<Ending>()
      started.push({ shard, successor, look: onLook, end: resolve })
      return promise
    },
  })
  return { ringer, started }
}

/** One after the other, as an isolate's events come. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('one run a shard: a second ring starts none', async () => {
  const { ringer, started } = runs()
  void ringer.ring(0)
  void ringer.ring(0)
  void ringer.ring(1)
  expect(started.map(({ shard }) => shard)).toEqual([0, 1])
})

test('rung while it works and not looked since: it runs once more, and only once', async () => {
  const { ringer, started } = runs()
  const done = ringer.ring(0)
  started[0]?.look()
  void ringer.ring(0)
  void ringer.ring(0)
  started[0]?.end('idle')
  await turn()
  expect(started).toHaveLength(2)
  started[1]?.look()
  started[1]?.end('idle')
  await done
  expect(started).toHaveLength(2)
})

test('rung while it works, and looked after that: enough', async () => {
  const { ringer, started } = runs()
  const done = ringer.ring(0)
  void ringer.ring(0)
  started[0]?.look()
  started[0]?.end('idle')
  await done
  expect(started).toHaveLength(1)
})

test.for<Ending>(['busy', 'handed-over', 'spent', 'fenced', 'refused', 'failed'])(
  'after %s somebody else, or the sweep, looks: it does not run again',
  async (ending) => {
    const { ringer, started } = runs()
    const done = ringer.ring(0)
    started[0]?.look()
    void ringer.ring(0)
    started[0]?.end(ending)
    await done
    expect(started).toHaveLength(1)
  },
)

test('a successor runs beside the run it follows, and later rings are its', async () => {
  const { ringer, started } = runs()
  const old = ringer.ring(0)
  const done = ringer.takeOver(0)
  expect(started.map(({ successor }) => successor)).toEqual([false, true])
  started[0]?.look()
  started[0]?.end('handed-over')
  await old
  started[1]?.look()
  void ringer.ring(0)
  expect(started).toHaveLength(2)
  started[1]?.end('idle')
  await turn()
  expect(started.map(({ successor }) => successor)).toEqual([false, true, false])
  started[2]?.look()
  started[2]?.end('idle')
  await done
})

test('after a run has ended a ring starts a new one', async () => {
  const { ringer, started } = runs()
  const done = ringer.ring(0)
  started[0]?.look()
  started[0]?.end('idle')
  await done
  void ringer.ring(0)
  expect(started).toHaveLength(2)
})
