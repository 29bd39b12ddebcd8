import { describe, expect, test } from 'vitest'
import { prepare } from '../../../infra/deploy/prepare.ts'
import { pipeline } from '../../../shared/pipeline.ts'

const nowhere = {
  pipeline,
  analyticsUrl: 'postgres://me:topsecret@127.0.0.1:1/analytics',
  kafka: { brokers: ['127.0.0.1:1'], ssl: false, ca: undefined, sasl: undefined },
  onStep: () => {},
}

describe('preparation', () => {
  test('of a wrong definition tells all its faults before anything is connected', async () => {
    const wrong = { ...pipeline, tables: [], topics: { ...pipeline.topics, partitions: 0 } }
    await expect(prepare({ ...nowhere, pipeline: wrong })).rejects.toMatchObject({
      kind: 'misconfigured',
      code: 'definition',
      message: expect.stringMatching(/partitions[\s\S]*there is no topic/),
    })
  })

  test('names every part that can not be reached, and no password', async () => {
    const fault = await prepare({ ...nowhere, sourceUrl: 'postgres://me:topsecret@127.0.0.1:1/supabase' }).catch((error: unknown) => error)
    expect(fault).toMatchObject({ kind: 'unavailable', message: expect.stringMatching(/3 parts[\s\S]*analytics[\s\S]*127\.0\.0\.1:1[\s\S]*source database/) })
    expect(String(fault)).not.toContain('topsecret')
  })
})
