import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectInStep, expectOnceInBronze, insertLeads, mark } from '../../support/leads.ts'
import { eventually } from '../../support/poll.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterAll(() => stack.close())

describe('a row on its way to both sinks', () => {
  test('insert, update and delete arrive, each once', async () => {
    const company = mark('row')
    const ids = await insertLeads(stack.source, 1, company)
    await expectInStep(stack, company)
    await stack.source.query(`update public.leads set status = 'qualified', estimated_value = 99999999.99 where company = $1`, [company])
    await expectInStep(stack, company)
    await stack.source.query(`delete from public.leads where company = $1`, [company])
    await eventually('the row is a tombstone in silver and gone from view and alias', async () => {
      const { rows } = await stack.analytics.query(`select name, _deleted_at is not null as dead from silver.leads where id = $1`, [ids[0]])
      expect(rows).toEqual([{ name: null, dead: true }])
      expect(await stack.search('leads', { term: { id: ids[0] } })).toEqual([])
      return true
    })
    await expectOnceInBronze(stack, ids, 3)
  })

  test('a transaction that is rolled back leaves nothing anywhere', async () => {
    const [gone, after] = [mark('rolled back'), mark('after')]
    const client = await stack.source.connect()
    await client.query('begin')
    const ids = await insertLeads(client, 3, gone)
    await client.query('rollback')
    client.release()
    await insertLeads(stack.source, 1, after)
    await expectInStep(stack, after)
    await stack.quiet()
    const { rows } = await stack.analytics.query(`select count(*)::int as n from bronze.events where key = any($1)`, [ids.map((id) => `["${id}"]`)])
    expect(rows).toEqual([{ n: 0 }])
  })

  test('two tables in one transaction both arrive', async () => {
    const company = mark('two tables')
    const client = await stack.source.connect()
    await client.query('begin')
    const [lead] = await insertLeads(client, 1, company)
    const chat = await client.query<{ id: string }>(
      `insert into public.chat_sessions (id, lead_id, channel, status, summary) values (gen_random_uuid(), $1, 'whatsapp', 'open', $2) returning id`,
      [lead, company],
    )
    await client.query('commit')
    client.release()
    await expectInStep(stack, company)
    await eventually('the chat is in silver and the index', async () => {
      const { rows } = await stack.analytics.query(`select lead_id, summary from bi.chat_sessions where id = $1`, [chat.rows[0]?.id])
      expect(rows).toEqual([{ lead_id: lead, summary: company }])
      expect(await stack.search('chat_sessions', { term: { id: chat.rows[0]?.id } })).toHaveLength(1)
      return true
    })
  })

  test('a burst of 5 000 rows arrives whole', async () => {
    const company = mark('burst')
    const ids = await insertLeads(stack.source, 5_000, company)
    await expectInStep(stack, company, { withinMs: 60_000 })
    await expectOnceInBronze(stack, ids, 1)
  })

  test('ten connections update one key: the last committed wins in both sinks', async () => {
    const company = mark('hot key')
    const [id] = await insertLeads(stack.source, 1, company)
    await Promise.all(
      Array.from({ length: 10 }, async (_, connection) => {
        const client = await stack.source.connect()
        for (let turn = 0; turn < 20; turn += 1) {
          await client.query('begin')
          await client.query(`update public.leads set name = $2 where id = $1`, [id, `writer ${connection} turn ${turn}`])
          await client.query(turn % 5 === 4 ? 'rollback' : 'commit')
        }
        client.release()
      }),
    )
    await expectInStep(stack, company)
    const { rows } = await stack.analytics.query<{ ordered: boolean; n: number }>(
      `select count(*)::int as n, bool_and(version > coalesce(previous, 0)) as ordered
       from (select version, lag(version) over (order by kafka_offset) as previous from bronze.events where key = $1) e`,
      [`["${id}"]`],
    )
    expect(rows).toEqual([{ n: 161, ordered: true }])
  })
})
