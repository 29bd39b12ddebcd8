/**
 * THE definition: source tables → topics → consumers → sinks, and ETL jobs. Data only; nothing here does I/O.
 * A wrong topic or column does not compile, and the error names the right one. Reading starts here.
 */
import { definePipeline } from './engine/define.ts'
import { chatSessions } from './tables/chat_sessions.ts'
import { conversations } from './tables/conversas_analytics.ts'
import { leads } from './tables/leads.ts'

export const pipeline = definePipeline({
  tables: [leads, chatSessions],
  topics: { partitions: 4, maxMessageBytes: 8 * 1024 * 1024, retention: '7d' },
  capture: { shards: 1 },
  consumers: {
    postgres: {
      reads: ['afluente.public.leads', 'afluente.public.chat_sessions'],
      sink: { kind: 'postgres', bronze: true, silver: true },
      mode: 'continuous',
      instances: 1,
    },
    elasticsearch: {
      reads: ['afluente.public.leads', 'afluente.public.chat_sessions'],
      sink: {
        kind: 'elasticsearch',
        indices: {
          leads: { version: 1, fields: { name: 'text', company: 'text', job_title: 'text' } },
          chat_sessions: { version: 1, fields: { summary: 'text' } },
        },
      },
      mode: 'continuous',
      instances: 1,
    },
  },
  etl: { conversations },
})
