import { table } from './table.ts'

export const chatSessions = table({
  schema: 'public',
  name: 'chat_sessions',
  key: ['id'],
  columns: {
    id: 'uuid',
    lead_id: 'uuid',
    channel: 'text',
    status: 'text',
    agent: 'text',
    started_at: 'timestamptz',
    ended_at: 'timestamptz',
    last_message_at: 'timestamptz',
    message_count: 'integer',
    rating: 'smallint',
    summary: 'text',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
  },
})
