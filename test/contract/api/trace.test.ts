import { describe, expect, test } from 'vitest'
import { createWorld } from './world.ts'

const KEY = '3f2504e0-4f89-11d3-9a0c-0305e82c3301'
const ask = (body: unknown, options: Parameters<typeof createWorld>[0] = {}) =>
  createWorld(options).call('POST', '/api/trace', typeof body === 'string' ? body : JSON.stringify(body))

describe('POST /api/trace', () => {
  test('puts together what every part knows of the key, given as a value or as its text', async () => {
    for (const key of [KEY, KEY.toUpperCase(), JSON.stringify([KEY])]) {
      for (const table of ['leads', 'public.leads']) {
        const response = await ask({ table, key })
        expect(response.status).toBe(200)
        expect(await response.json()).toMatchObject({
          table: 'public.leads',
          key: `["${KEY}"]`,
          found: true,
          more: false,
          changes: [
            {
              eventId: 'public.leads:5',
              inOutbox: false,
              consumers: [
                { consumer: 'postgres', fate: 'applied' },
                { consumer: 'elasticsearch', fate: 'waiting' },
              ],
            },
            { eventId: 'public.leads:6', inOutbox: true, topic: null },
          ],
          faults: [],
        })
      }
    }
  })

  test('tells how many records of the key’s partition each consumer has still to read', async () => {
    const { consumers } = (await (await ask({ table: 'leads', key: KEY })).json()) as { consumers: unknown }
    expect(consumers).toEqual([
      {
        name: 'postgres',
        copy: expect.objectContaining({ version: 5 }) as unknown,
        partition: expect.any(Number) as unknown,
        behind: expect.any(Number) as unknown,
      },
      { name: 'elasticsearch', copy: null, partition: expect.any(Number) as unknown, behind: expect.any(Number) as unknown },
    ])
    const [postgres, elasticsearch] = consumers as { partition: number; behind: number }[]
    expect(postgres?.behind).toBe([10, 90][postgres?.partition ?? 0])
    expect(elasticsearch?.behind).toBe([0, 95][elasticsearch?.partition ?? 0])
  })

  test('shows no more changes than were asked for, and says that there are', async () => {
    const { changes, more } = (await (await ask({ table: 'leads', key: KEY, limit: 1 })).json()) as { changes: { eventId: string }[]; more: boolean }
    expect([changes.map(({ eventId }) => eventId), more]).toEqual([['public.leads:6'], true])
  })

  test.each(['analytics', 'kafka', 'supabase', 'elasticsearch'] as const)('tells what the others know while %s is down', async (part) => {
    const response = await ask({ table: 'leads', key: KEY }, { down: [part] })
    expect(response.status).toBe(200)
    const { changes, faults } = (await response.json()) as { changes: { consumers: { fate: string }[] }[]; faults: { part: string; reason: string }[] }
    expect(faults.length).toBeGreaterThan(0)
    for (const { reason } of faults) expect(reason).toBe(`${part} does not answer.`)
    if (part === 'elasticsearch') expect(changes[0]?.consumers).toMatchObject([{ fate: 'applied' }, { fate: 'unknown' }])
    if (part === 'analytics') expect(changes).toMatchObject([{ eventId: 'public.leads:6' }])
  })

  test('names the tables there are when it is asked for another', async () => {
    const response = await ask({ table: 'nothing', key: '1' })
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ type: 'urn:afluente:problem:unknown-table', detail: expect.stringContaining('public.leads') as unknown })
  })

  test.each([
    [{ table: 'leads', key: 'Ana' }],
    [{ table: 'leads', key: '["a", "b"]' }],
    [{ table: 'leads' }],
    [{ table: 'leads', key: KEY, limit: 0 }],
    ['[]'],
  ])('refuses %j, and repeats nothing of it', async (body) => {
    const response = await ask(body)
    expect(response.status).toBe(422)
    expect(await response.text()).not.toContain('Ana')
  })
})
