/** What happens to a table as a whole: it is truncated, or altered. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { insertLeads, mark } from '../../support/leads.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterAll(() => stack.close())

test('a TRUNCATE of more than 100 000 rows empties both sinks, and what comes after it lives', async () => {
  const summary = mark('floor')
  const insert = (id: string) =>
    stack.source.query(`insert into public.chat_sessions (id, channel, status, summary) values ($1, 'web', 'open', $2)`, [id, summary])
  const [before, after] = [crypto.randomUUID(), crypto.randomUUID()]
  const inSinks = async () => {
    const { rows } = await stack.analytics.query<{ id: string }>('select id::text from bi.chat_sessions')
    const silver = await stack.analytics.query<{ id: string }>('select id::text from silver.chat_sessions where _deleted_at is null')
    expect(silver.rows.map(({ id }) => id).toSorted()).toEqual(rows.map(({ id }) => id).toSorted())
    const indexed = (await stack.search('chat_sessions')).map((document) => String(document['id']))
    return { silver: rows.map(({ id }) => id).toSorted(), indexed: indexed.toSorted() }
  }
  await insert(before)
  await eventually('the row is in both sinks', async () => {
    const { silver, indexed } = await inSinks()
    expect([silver.includes(before), indexed.includes(before)]).toEqual([true, true])
    return true
  })
  // The many are of no matter to the sinks: they are written past the capture.
  await stack.source.query(`
    begin; alter table public.chat_sessions disable trigger afluente_insert;
    insert into public.chat_sessions (id, channel, status) select gen_random_uuid(), 'web', 'open' from generate_series(1, 100001);
    alter table public.chat_sessions enable always trigger afluente_insert;
    update afluente.captured_tables c set columns = afluente.columns_of(c.table_oid); commit`)
  await stack.source.query('truncate public.chat_sessions')
  await insert(after)
  await eventually('both sinks hold what came after alone', async () => {
    expect(await inSinks()).toEqual({ silver: [after], indexed: [after] })
    return true
  })
  const { rows } = await stack.analytics.query(`select op, before, after from bronze.events where source_table = 'public.chat_sessions' and key = '[]'`)
  expect(rows).toEqual([{ op: 'truncate', before: null, after: null }])
})

test('a column that is added to the source is in bronze at once, and takes nothing from the sinks', async () => {
  const company = mark('added')
  await stack.source.query('alter table public.leads add column extra text')
  try {
    const [id] = await insertLeads(stack.source, 1, company)
    await stack.source.query(`update public.leads set extra = 'new' where id = $1`, [id])
    await eventually('bronze has the column, silver the row', async () => {
      const { rows } = await stack.analytics.query(`select after->>'extra' as extra from bronze.events where key = $1 order by version`, [`["${id}"]`])
      expect(rows).toEqual([{ extra: null }, { extra: 'new' }])
      const silver = await stack.analytics.query('select 1 from bi.leads where id = $1', [id])
      expect(silver.rowCount).toBe(1)
      return true
    })
  } finally {
    await stack.source.query('alter table public.leads drop column extra')
  }
})
