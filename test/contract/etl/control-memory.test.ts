import { describe, expect, test } from 'vitest'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryEtl, memoryEtlControl } from '../../../shared/adapters/memory/etl-control.ts'
import { memoryEtlStep } from '../../../shared/adapters/memory/etl-step.ts'
import { etlControlContract } from './control-suite.ts'

etlControlContract('memory', async () => {
  const clock = memoryClock()
  const etl = memoryEtl()
  return {
    control: memoryEtlControl({ etl, clock }),
    end: async (run, status, watermarkEnd) => {
      clock.advance(1)
      const now = new Date(clock.now()).toISOString().replace('Z', '000Z')
      etl.runs.set(run.id, { ...run, status, watermarkEnd, completedAt: now, durationSeconds: 0 })
      clock.advance(1)
    },
    audit: async () => etl.audit,
  }
})

describe('the step in memory', () => {
  const signal = new AbortController().signal
  const world = async () => {
    const clock = memoryClock()
    const etl = memoryEtl()
    const control = memoryEtlControl({ etl, clock })
    const step = memoryEtlStep({ etl, clock, pages: 2, pageRows: 10 })
    const request = { job: 'a', loadType: 'full', triggeredBy: 'api', from: null, to: null, dryRun: false, codeVersion: null } as const
    await control.start({ ...request, id: 'r' }, { signal })
    return { control, next: () => step({ run: 'r', owner: 'o', budgetMs: 0, signal }) }
  }

  test('goes page by page to a good end', async () => {
    const { control, next } = await world()
    expect(await next()).toMatchObject({ status: 'more', run: { seen: 10, expected: 20 } })
    expect(await next()).toMatchObject({ status: 'ended', run: { status: 'success', inserted: 20 } })
    expect(await next()).toMatchObject({ status: 'ended', run: { pages: 2 } })
    expect((await control.states(['a'], { signal }))[0]?.watermark).not.toBeNull()
  })

  test('ends where a cancel was asked', async () => {
    const { control, next } = await world()
    await next()
    await control.cancel({ id: 'r', actor: 'operator' }, { signal })
    expect(await next()).toMatchObject({ status: 'ended', run: { status: 'cancelled', pages: 1 } })
  })
})
