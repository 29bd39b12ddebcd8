import { describe, expect, test } from 'vitest'
import { changesOf, type SimulatedChange } from '../../../infra/simulate/changes.ts'
import { readOptions } from '../../../infra/simulate/options.ts'
import { randomOf } from '../../../infra/simulate/random.ts'
import { statementOf, writeChanges } from '../../../infra/simulate/write.ts'
import { chatSessions } from '../../../shared/tables/chat_sessions.ts'
import { leads } from '../../../shared/tables/leads.ts'

function take(seed: number, count: number, tables: readonly ('leads' | 'chat_sessions')[] = ['leads', 'chat_sessions']): readonly SimulatedChange[] {
  const changes = changesOf(seed, tables)
  return Array.from({ length: count }, () => changes.next().value)
}

describe('simulated changes', () => {
  test('are the same for the same seed, and others for another', () => {
    expect(take(7, 2_000)).toEqual(take(7, 2_000))
    expect(take(7, 20)).not.toEqual(take(8, 20))
  })

  test('touch only rows that live, and every column there is', () => {
    const living = { leads: new Set<string>(), chat_sessions: new Set<string>() }
    const known: Record<string, readonly string[]> = { leads: Object.keys(leads.columns), chat_sessions: Object.keys(chatSessions.columns) }
    for (const { table, op, id, columns } of take(1, 5_000)) {
      if (op === 'insert') {
        expect(living[table].has(id)).toBe(false)
        expect(Object.keys(columns)).toEqual(known[table])
        living[table].add(id)
      } else expect(living[table].has(id)).toBe(true)
      if (op === 'delete') living[table].delete(id)
      expect(known[table]).toEqual(expect.arrayContaining(Object.keys(columns)))
    }
    expect(living.leads.size).toBeGreaterThan(100)
  })

  test('of one table are of that table alone', () => {
    expect(new Set(take(1, 200, ['chat_sessions']).map(({ table }) => table))).toEqual(new Set(['chat_sessions']))
  })

  test('have ids that are UUIDs, each its own', () => {
    const random = randomOf(3)
    const ids = Array.from({ length: 10_000 }, () => random.uuid())
    expect(new Set(ids).size).toBe(10_000)
    for (const id of ids.slice(0, 100)) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

describe('writing', () => {
  const signal = new AbortController().signal
  const connection = (seen: string[]) => ({ query: async (query: { readonly name?: string }) => void seen.push(query.name ?? '') }) as never

  test('writes as many as are due at the rate, a lead before its chats', async () => {
    const seen: string[][] = [[], [], []]
    const tally = await writeChanges({
      changes: changesOf(5, ['leads', 'chat_sessions']),
      statementOf,
      rate: 400,
      seconds: 0.5,
      connections: seen.map(connection),
      onSecond: () => {},
      signal,
    })
    expect(tally).toMatchObject({ due: 200, written: 200, behindMs: 0 })
    expect(seen.flat()).toHaveLength(200)
    expect(tally.inserts + tally.updates + tally.deletes).toBe(200)
  })

  test('ends with the first change that fails', async () => {
    const failing = { query: async () => Promise.reject(new Error('refused')) } as never
    await expect(
      writeChanges({ changes: changesOf(5, ['leads']), statementOf, rate: 100, seconds: 60, connections: [failing], onSecond: () => {}, signal }),
    ).rejects.toThrow('refused')
  })

  test('ends soon after an abort', async () => {
    const tally = await writeChanges({
      changes: changesOf(5, ['leads']),
      statementOf,
      rate: 100,
      seconds: 60,
      connections: [connection([])],
      onSecond: () => {},
      signal: AbortSignal.timeout(50),
    })
    expect(tally.written).toBeLessThan(60)
  })

  test('puts values into parameters, and names statements within Postgres’ 63 characters', () => {
    for (const change of take(2, 3_000)) {
      const { name = '', text, values = [] } = statementOf(change)
      expect(name.length).toBeLessThan(64)
      expect(text).not.toMatch(/example\.com|'/)
      expect(values.length).toBe(new Set(text.match(/\$\d+/g)).size)
    }
  })
})

describe('options', () => {
  test('have defaults, and are read', () => {
    expect(readOptions([])).toEqual({ rate: 20, seconds: 30, seed: 1, tables: ['leads', 'chat_sessions'], conversations: false })
    expect(readOptions(['--rate', '0.5', '--seconds', '2', '--seed=-4', '--tables', 'leads'])).toEqual({
      rate: 0.5,
      seconds: 2,
      seed: -4,
      tables: ['leads'],
      conversations: false,
    })
    expect(readOptions(['--tables', 'conversations'])).toMatchObject({ tables: [], conversations: true })
  })

  test('that are wrong are told all at once', () => {
    expect(readOptions(['--rate', 'fast', '--seconds', '0', '--seed', '1.5', '--tables', 'leads,users'])).toEqual({
      wrong: [
        expect.stringContaining('--rate fast'),
        expect.stringContaining('--seconds 0'),
        expect.stringContaining('--seed 1.5'),
        expect.stringContaining('users'),
      ],
    })
    expect(readOptions(['--drop'])).toHaveProperty('wrong')
    expect(readOptions(['-h'])).toBe('help')
  })
})
