/** A consumer with dead letters on memory twins, a sink that can be mended, and a redriver whose calls are written down. */
import { memoryLetters } from '../../../shared/adapters/memory/letters.ts'
import { memoryRedrives } from '../../../shared/adapters/memory/redrives.ts'
import { createRedrive } from '../../../shared/engine/redrive.ts'
import type { Event, LogRecord } from '../../../shared/events/envelope.ts'
import type { LetterFilter } from '../../../shared/ports/letters.ts'
import type { Redrives } from '../../../shared/ports/redrives.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import { createWorld, people, TOPIC } from '../deliver/world.ts'

const POISON = { code: '23514', message: 'violates the constraint no_poison' }

export interface RedriveWorldOptions {
  /** In front of each call of the redriver's parts: throw to make it fail. */
  readonly before?: (call: string) => void | Promise<void>
  readonly refusal?: 'item' | 'batch'
}

export async function redriveWorld(records: readonly LogRecord[], { before = () => {}, refusal = 'batch' }: RedriveWorldOptions = {}) {
  const broken = { refuses: (event: Event): boolean => event.op === 'insert' }
  const world = createWorld({ refuses: (event) => (broken.refuses(event) ? POISON : null), refusal })
  const { analytics, clock } = world
  if (records.length > 0) await world.deliver(records)

  const calls: string[] = []
  const call = async (name: string) => {
    calls.push(name)
    await before(name)
  }
  const letters = memoryLetters({ analytics, clock })
  const inner = memoryRedrives({ analytics, clock })
  const redrives: Redrives = {
    ...inner,
    take: async (job, after, limit, options) => {
      await call('take')
      return inner.take(job, after, limit, options)
    },
    settle: async (settlement, options) => {
      await call(`settle ${settlement.landed.length}+${settlement.failed.length}`)
      return inner.settle(settlement, options)
    },
    finish: async (id, options) => {
      await call('finish')
      return inner.finish(id, options)
    },
  }
  const sink: Sink = {
    ...world.sink,
    write: async (batch, options) => {
      await call(`write ${batch.events.map(({ version }) => version).join(',')} under ${batch.fence.topic}:${batch.fence.partition}`)
      return world.sink.write(batch, options)
    },
  }
  const redriver = (owner = 'me') =>
    createRedrive({
      consumer: 'test',
      owner,
      tables: [people],
      sink,
      control: world.control,
      redrives,
      clock,
      log: { info: () => {}, warn: () => {}, error: () => {} },
      random: () => 0.5,
    })
  const options = { signal: new AbortController().signal }
  return {
    ...world,
    calls,
    redriver,
    redrives: inner,
    /** Nothing is refused any more. */
    mend: () => void (broken.refuses = () => false),
    breakAgain: (refuses: (event: Event) => boolean) => void (broken.refuses = refuses),
    ask: async (filter: LetterFilter = {}) => (await inner.start({ filter, consumers: ['test'], actor: 'operator' }, options))[0],
    pass: (owner?: string) => redriver(owner)(options),
    letters: async () => (await letters.list({ filter: {}, limit: 100_000, after: null }, options)).letters.toReversed(),
    job: async (id = '1') => inner.find(id, options),
    redriveProgress: () => analytics.progress.get(`test ${TOPIC}.dlq:0`),
  }
}
