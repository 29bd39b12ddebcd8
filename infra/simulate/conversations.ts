/**
 * What happens in a Chatwoot, as its application writes it: conversations begin, are answered, resolved, reopened and sometimes deleted,
 * and agents look at them, which changes no updated_at. The same seed takes the same steps; the times are the clock's, as an ETL needs them.
 */
import type pg from 'pg'
import type { Random } from './random.ts'

type ConversationStep = 'begin' | 'reply' | 'resolve' | 'reopen' | 'look' | 'wait' | 'label' | 'remove'

export interface ConversationChange {
  readonly step: ConversationStep
  readonly op: 'insert' | 'update' | 'delete'
  /** Picks the conversation: the one with this share of the ids below it. */
  readonly share: number
  readonly draw: number
  /** Hexadecimal; spreads the changes over the connections. */
  readonly family: string
}

const odds: Readonly<Record<ConversationStep, number>> = { begin: 25, reply: 25, resolve: 15, reopen: 5, look: 12, wait: 10, label: 6, remove: 2 }

/** Without end; the same seed gives the same steps. */
export function* conversationChangesOf(random: Random): Generator<ConversationChange, never> {
  for (;;) {
    const step = random.weighted(odds)
    const op = step === 'begin' ? 'insert' : step === 'remove' ? 'delete' : 'update'
    yield { step, op, share: random.number(), draw: random.whole(0, 999_999), family: random.uuid() }
  }
}

export function conversationStatementOf({ step, share, draw }: ConversationChange): pg.QueryConfig {
  return { name: `conversation ${step}`, text: statements[step], values: [share, draw] }
}

/** One row, found by the primary key. */
const PICKED = `(select id from conversations where id >= (select (min(id) + (max(id) - min(id)) * $1::float8)::integer from conversations) order by id limit 1)`
const NOW = `(clock_timestamp() at time zone 'UTC')`

/** One statement each, $1 the share and $2 the draw. Times are of the application's clock: the statement's own, not the transaction's. */
const statements: Readonly<Record<ConversationStep, string>> = {
  begin: `with made as (
    insert into conversations (account_id, inbox_id, contact_id, status, display_id, created_at, updated_at, last_activity_at, waiting_since, cached_label_list)
    select i.account_id, i.id, (select id from contacts where id >= (select (max(id) * $1::float8)::integer from contacts) order by id limit 1), 0, 0, ${NOW}, ${NOW}, ${NOW}, ${NOW}, ''
    from inboxes as i order by i.id offset $2::integer % (select count(*) from inboxes) limit 1
    returning *)
  insert into messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
  select 'Olá!', account_id, inbox_id, id, 0, 'Contact', contact_id, created_at, created_at from made`,
  reply: `with said as (
    insert into messages (content, account_id, inbox_id, conversation_id, message_type, sender_type, sender_id, created_at, updated_at)
    select 'Um momento…', account_id, inbox_id, id, 1, 'User', 1 + $2::integer % 30, ${NOW}, ${NOW} from conversations where id = ${PICKED}
    returning conversation_id, created_at, account_id, inbox_id, sender_id),
  told as (
    insert into reporting_events (name, value, value_in_business_hours, account_id, inbox_id, user_id, conversation_id, event_start_time, event_end_time, created_at, updated_at)
    select 'first_response', extract(epoch from said.created_at - c.created_at), extract(epoch from said.created_at - c.created_at) / 3, c.account_id, c.inbox_id, said.sender_id, c.id, c.created_at, said.created_at, said.created_at, said.created_at
    from said join conversations as c on c.id = said.conversation_id where c.first_reply_created_at is null)
  update conversations as c
  set first_reply_created_at = coalesce(c.first_reply_created_at, said.created_at), assignee_id = coalesce(c.assignee_id, said.sender_id), waiting_since = null,
    last_activity_at = said.created_at, updated_at = said.created_at
  from said where c.id = said.conversation_id`,
  resolve: `with ended as (
    update conversations set status = 1, updated_at = ${NOW}, last_activity_at = ${NOW} where id = ${PICKED} and status <> 1 returning *),
  told as (
    insert into reporting_events (name, value, value_in_business_hours, account_id, inbox_id, user_id, conversation_id, event_start_time, event_end_time, created_at, updated_at)
    select 'conversation_resolved', extract(epoch from updated_at - created_at), extract(epoch from updated_at - created_at) / 3, account_id, inbox_id, assignee_id, id, created_at, updated_at, updated_at, updated_at from ended where $2::integer >= 0)
  insert into messages (content, account_id, inbox_id, conversation_id, message_type, created_at, updated_at)
  select 'Conversa resolvida', account_id, inbox_id, id, 2, updated_at, updated_at from ended`,
  reopen: `update conversations set status = 0, waiting_since = ${NOW}, updated_at = ${NOW} where id = ${PICKED} and status = 1 and $2::integer >= 0`,
  look: `update conversations set agent_last_seen_at = ${NOW} where id = ${PICKED} and $2::integer >= 0`,
  wait: `update conversations set waiting_since = ${NOW} where id = ${PICKED} and $2::integer >= 0`,
  label: `update conversations set cached_label_list = (array['vip', 'vip, troca', 'entrega', ''])[$2::integer % 4 + 1], updated_at = ${NOW} where id = ${PICKED}`,
  remove: `with gone as (delete from conversations where id = ${PICKED} and $2::integer >= 0 returning id)
  delete from messages using gone where conversation_id = gone.id`,
}
