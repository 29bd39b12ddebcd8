/** The view over a real Postgres: what it says of a conversation, and that a page of it costs a page. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { prepareChatwoot } from '../../../infra/local/prepare-chatwoot.ts'
import { root } from '../../support/repository.ts'
import { realPostgres } from '../sink/postgres-server.ts'

const postgres = realPostgres()
const textOf = (name: string) => readFileSync(join(root, 'infra/chatwoot', name), 'utf8')

/** Nothing but the tables, and the view on top: as in somebody's Chatwoot. */
async function chatwoot(): Promise<pg.Client> {
  const client = await postgres.client(await postgres.emptyDatabase())
  await client.query(textOf('schema.sql'))
  await client.query(textOf('view.sql'))
  return client
}

const PEOPLE = `
  insert into accounts (name, created_at, updated_at) values ('Acme', now(), now()), ('Other', now(), now());
  insert into inboxes (channel_id, account_id, name, channel_type, created_at, updated_at) values (1, 1, 'Site', 'Channel::WebWidget', now(), now()), (2, 1, 'New', 'Channel::Pigeon', now(), now());
  insert into users (uid, name, email, created_at, updated_at) values ('a', 'Bia', 'bia@example.com', now(), now());
  insert into contacts (name, email, phone_number, account_id, created_at, updated_at) values ('Ana', 'ana@example.com', '+5511999990000', 1, now(), now());`

/** A conversation with the columns that a test cares about. */
async function conversation(client: pg.Client, columns: Readonly<Record<string, unknown>> = {}): Promise<number> {
  const all = {
    account_id: 1,
    inbox_id: 1,
    status: 0,
    contact_id: 1,
    display_id: 0,
    created_at: '2026-05-01 10:00:00.123456',
    updated_at: '2026-05-01 12:00:00.654321',
    ...columns,
  }
  const names = Object.keys(all)
  const { rows } = await client.query<{ id: number }>(
    `insert into conversations (${names.join(', ')}) values (${names.map((_, at) => `$${at + 1}`).join(', ')}) returning id`,
    Object.values(all),
  )
  return rows[0]?.id ?? 0
}

async function message(client: pg.Client, id: number, type: number, sender: string | null, at: string, isPrivate = false): Promise<void> {
  await client.query(
    `insert into messages (account_id, inbox_id, conversation_id, message_type, sender_type, private, created_at, updated_at) values (1, 1, $1, $2, $3, $4, $5, $5)`,
    [id, type, sender, isPrivate, at],
  )
}

async function event(client: pg.Client, id: number, name: string, value: number, at: string, account = 1): Promise<void> {
  await client.query(
    `insert into reporting_events (name, value, value_in_business_hours, account_id, conversation_id, event_start_time, event_end_time, created_at, updated_at)
     values ($1, $2, $2::float8 / 2, $3, $4, '2026-05-01 10:00', $5, $5, $5)`,
    [name, value, account, id, at],
  )
}

async function row(client: pg.Client, id: number): Promise<Record<string, unknown> | undefined> {
  const { rows } = await client.query<{ row: Record<string, unknown> }>(
    'select row_to_json(v) as row from vw_conversations_analytics_final as v where conversation_id = $1',
    [id],
  )
  return rows[0]?.row
}

describe('the view says', () => {
  test('what a conversation is, with words for numbers and counts by who wrote', async () => {
    const client = await chatwoot()
    await client.query(PEOPLE)
    const id = await conversation(client, {
      status: 1,
      priority: 3,
      assignee_id: 1,
      cached_label_list: 'vip, troca',
      first_reply_created_at: '2026-05-01 10:05',
    })
    await message(client, id, 0, 'Contact', '2026-05-01 10:00')
    await message(client, id, 1, 'User', '2026-05-01 10:05')
    await message(client, id, 1, 'AgentBot', '2026-05-01 10:06')
    await message(client, id, 1, 'User', '2026-05-01 10:07', true)
    await message(client, id, 2, null, '2026-05-01 12:00')
    await event(client, id, 'first_response', 300, '2026-05-01 10:05:01')
    await event(client, id, 'conversation_resolved', 7200, '2026-05-01 12:00:01')
    await event(client, id, 'reply_time', 1, '2026-05-01 10:05:01')
    expect(await row(client, id)).toMatchObject({
      conversation_id: id,
      display_id: 1,
      account_name: 'Acme',
      inbox_name: 'Site',
      channel: 'web_widget',
      contact_name: 'Ana',
      contact_email: 'ana@example.com',
      assignee_name: 'Bia',
      status: 'resolved',
      priority: 'urgent',
      labels: ['vip', 'troca'],
      messages_total: 5,
      messages_from_contact: 1,
      messages_from_user: 2,
      messages_from_bot: 1,
      messages_from_system: 1,
      messages_private: 1,
      first_response_seconds: 300,
      first_response_business_seconds: 150,
      resolution_seconds: 7200,
      resolved_at: '2026-05-01T12:00:01',
      conversation_created_at: '2026-05-01T10:00:00.123456',
      conversation_updated_at: '2026-05-01T12:00:00.654321',
    })
  })

  test('numbers it has no word for as they are, and no more rows for what is missing', async () => {
    const client = await chatwoot()
    await client.query(PEOPLE)
    const id = await conversation(client, { status: 7, priority: null, inbox_id: 2, contact_id: 99, account_id: 1, assignee_id: 99 })
    expect(await row(client, id)).toMatchObject({
      status: 'unknown(7)',
      priority: null,
      channel: 'Channel::Pigeon',
      contact_name: null,
      assignee_name: null,
      labels: [],
      messages_total: 0,
    })
    const other = await conversation(client, { priority: 9 })
    expect(await row(client, other)).toMatchObject({ status: 'open', priority: 'unknown(9)', first_response_seconds: null, resolution_seconds: null })
  })
})

describe.each(['without an index on reporting_events.conversation_id', 'with one'])('times of reporting_events, %s', (how) => {
  test('are the conversation’s own, whoever else was told of at that moment', async () => {
    const client = await chatwoot()
    await client.query(PEOPLE)
    if (how === 'with one') await client.query('create index on reporting_events (conversation_id)')
    const id = await conversation(client, { first_reply_created_at: '2026-05-01 10:05' })
    const beside = await conversation(client, { first_reply_created_at: '2026-05-01 10:05' })
    await event(client, beside, 'first_response', 1, '2026-05-01 10:05:00.1')
    await event(client, id, 'first_response', 999, '2026-05-01 10:05:00.2', 2)
    await event(client, id, 'first_response', 300, '2026-05-01 10:05:00.3')
    // Resolved, reopened, resolved again, and labelled after that: the last resolution counts, and the label's notice hides nothing.
    await message(client, id, 2, null, '2026-05-01 11:00')
    await event(client, id, 'conversation_resolved', 3_600, '2026-05-01 11:00:00.5')
    await message(client, id, 2, null, '2026-05-02 11:00')
    await event(client, id, 'conversation_resolved', 90_000, '2026-05-02 11:00:00.5')
    await message(client, id, 2, null, '2026-05-03 09:00')
    expect(await row(client, id)).toMatchObject({ first_response_seconds: 300, resolution_seconds: 90_000, resolved_at: '2026-05-02T11:00:00.5' })
    expect(await row(client, beside)).toMatchObject({ first_response_seconds: 1, resolution_seconds: null })
  })
})

describe('a page', () => {
  const sizes = [4_000, 16_000] as const
  const clients = new Map<number, pg.Client>()
  beforeAll(async () => {
    for (const size of sizes) {
      const client = await chatwoot()
      await client.query("select set_config('afluente.conversations', $1, false)", [String(size)])
      await client.query(textOf('seed.sql'))
      await client.query('analyze')
      clients.set(size, client)
    }
  })

  /** Rows that a statement reads, tables and their indexes alike. */
  async function reads(size: number, sql: string): Promise<Record<string, number>> {
    const client = clients.get(size)
    if (client === undefined) throw new Error(`no database of ${size}`)
    await client.query('select pg_stat_force_next_flush()')
    await client.query('select pg_stat_reset()')
    await client.query(sql)
    await client.query('select pg_stat_force_next_flush()')
    const { rows } = await client.query<{ relname: string; tuples: string }>(
      'select relname, seq_tup_read + coalesce(idx_tup_fetch, 0) as tuples from pg_stat_user_tables',
    )
    return Object.fromEntries(rows.map(({ relname, tuples }) => [relname, Number(tuples)]))
  }

  test('of 1 000 conversations reads the messages, events and contacts of 1 000, however many there are', async () => {
    const page = 'select * from vw_conversations_analytics_final where conversation_id > 1000 order by conversation_id limit 1000'
    const [few, many] = [await reads(4_000, page), await reads(16_000, page)]
    expect(many['conversations']).toBeLessThanOrEqual(1_001)
    // Six messages a conversation; twice where notices are looked for.
    expect(many['messages']).toBeLessThan(12_000)
    expect(many['contacts']).toBeLessThan(1_100)
    expect(many['reporting_events']).toBeLessThan(20_000)
    for (const table of ['messages', 'reporting_events', 'contacts']) expect(many[table]).toBeLessThan(1.5 * (few[table] ?? 0))
  })

  test('of keys alone reads conversations alone, also where no index stands on the cursor', async () => {
    const read = await reads(
      16_000,
      'select conversation_id, conversation_updated_at from vw_conversations_analytics_final order by conversation_updated_at, conversation_id limit 1000',
    )
    expect(read).toMatchObject({ messages: 0, reporting_events: 0, contacts: 0, users: 0, inboxes: 0, accounts: 0 })
  })

  test('finds the times of every conversation that has them', async () => {
    const { rows } = (await clients
      .get(16_000)
      ?.query(
        'select count(first_response_seconds) = count(first_reply_at) as replies, count(resolution_seconds) = count(*) filter (where status = $1) as ends, count(*) from vw_conversations_analytics_final',
        ['resolved'],
      )) ?? { rows: [] }
    expect(rows).toEqual([{ replies: true, ends: true, count: '16000' }])
  })
})

describe('the local Chatwoot', () => {
  test('is made once, renewed after, and its reader sees the view alone', async () => {
    const url = await postgres.emptyDatabase()
    expect(await prepareChatwoot({ url, readerPassword: 'reader', conversations: 0 })).toBe('made')
    expect(await prepareChatwoot({ url, readerPassword: 'reader', conversations: 30 })).toBe('renewed')
    expect(await prepareChatwoot({ url, readerPassword: 'reader', conversations: 30 })).toBe('renewed')
    const reader = new URL(url)
    reader.username = 'afluente_reader'
    const client = await postgres.client(reader.href)
    expect((await client.query('select count(*) from vw_conversations_analytics_final')).rows).toEqual([{ count: '30' }])
    await expect(client.query('select encrypted_password from users')).rejects.toMatchObject({ code: '42501' })
    await expect(client.query('delete from vw_conversations_analytics_final')).rejects.toMatchObject({ code: expect.stringMatching(/42501|55000/) })
  })

  test('leaves somebody’s own alone', async () => {
    const url = await postgres.emptyDatabase()
    const client = await postgres.client(url)
    await client.query('create table conversations (id int)')
    expect(await prepareChatwoot({ url, readerPassword: 'reader', conversations: 30 })).toBe('left alone')
    expect((await client.query("select to_regclass('accounts') as accounts")).rows).toEqual([{ accounts: null }])
  })
})
