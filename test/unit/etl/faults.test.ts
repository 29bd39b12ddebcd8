import { expect, test } from 'vitest'
import { etlFaults } from '../../../shared/engine/etl-faults.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import { conversations } from '../../../shared/tables/conversas_analytics.ts'
import { etlJob } from '../../../shared/tables/etl-job.ts'

const NOTHING = { tables: [], topics: [] }

test('the jobs of the definition are sound', () => {
  expect(pipeline.etl).toHaveProperty('conversations')
  expect(etlFaults(pipeline.etl ?? {}, NOTHING)).toEqual([])
})

test('every fault of a job is told at once', () => {
  const wrong = {
    ...conversations,
    source: { database: 'elsewhere', relation: 'nowhere' },
    key: ['missing', 'tokens'],
    cursor: 'status',
    into: 'leads',
    columns: {
      status: { type: 'text', clean: ['wash'] },
      _hash: { type: 'text' },
      reset_token: { type: 'text' },
      tokens: { type: 'json' },
      score: { type: 'number', between: [9, 1] },
    },
    overlap: 'a while',
    pageRows: 0,
    deletes: 'forget',
    secrets: ['tokens'],
    schedule: { cron: '0 25 * * *', timeZone: 'UTC' },
    reconcile: { cron: '0 3 * * *', timeZone: 'Brazil/Nowhere' },
  } as never
  expect(etlFaults({ 'Bad Name': wrong }, { tables: ['leads'], topics: [] })).toEqual([
    expect.stringContaining("a job's name"),
    expect.stringContaining('.key: missing is none of its columns'),
    expect.stringContaining('.key: tokens is json; a key is of smallint'),
    expect.stringContaining('.cursor: status is text'),
    expect.stringContaining('.source.database'),
    expect.stringContaining("'nowhere' is not <schema>.<name>"),
    expect.stringContaining('.deletes'),
    expect.stringContaining('.pageRows: 0'),
    expect.stringContaining('.overlap'),
    expect.stringContaining(".schedule.cron: '0 25 * * *' is no schedule"),
    expect.stringContaining(".reconcile.timeZone: 'Brazil/Nowhere' is no time zone"),
    expect.stringContaining('named _hash'),
    expect.stringMatching(/reset_token: it looks like a secret/),
    expect.stringContaining("'wash' is none of"),
    expect.stringContaining("'number' is no type"),
    expect.stringContaining('9 is more than 1'),
    expect.stringContaining('silver.leads is the copy of a source table'),
  ])
})

test('a job reads one relation or one query, and the query is one', () => {
  const of = (source: object) => etlFaults({ a: { ...conversations, source: { database: 'chatwoot', ...source } as never } }, NOTHING)
  expect(of({ query: 'select 1 -- of them' })).toEqual([])
  expect(of({ query: ' \n' })).toEqual([expect.stringContaining('source.query: is empty')])
  expect(of({ query: 'select 1;\n' })).toEqual([expect.stringContaining('leave the semicolon')])
  expect(of({ query: 'select 1', relation: 'a.b' })).toEqual([expect.stringContaining('a relation and a query')])
})

test('two jobs can not write one table', () => {
  expect(etlFaults({ a: conversations, b: conversations }, NOTHING)).toEqual([expect.stringContaining('two jobs write silver.conversas_analytics')])
})

test('a key or cursor that is no column does not compile', () => {
  const base = { ...conversations, columns: { id: { type: 'bigint' }, at: { type: 'timestamptz' } } } as const
  etlJob({ ...base, key: ['id'], cursor: 'at', secrets: [] })
  // @ts-expect-error: there is no column nr
  etlJob({ ...base, key: ['nr'], cursor: 'at', secrets: [] })
  // @ts-expect-error: there is no column when
  const wrong = etlJob({ ...base, key: ['id'], cursor: 'when', secrets: [] })
  expect(etlFaults({ wrong }, NOTHING)).toEqual([expect.stringContaining('.cursor: when is none of its columns')])
})

test("a topic that Kafka would refuse, or that is somebody else's, is told", () => {
  const job = (into: string, topic: string) => ({ ...conversations, into, topic })
  const jobs = {
    a: job('one', 'afluente.etl.a'),
    b: job('two', 'no topic!'),
    c: job('three', 'afluente.etl_a'),
    d: job('four', 'afluente.public.leads'),
    e: job('five', '..'),
  }
  expect(etlFaults(jobs, { tables: [], topics: ['afluente.public.leads'] })).toEqual([
    expect.stringContaining("etl.b.topic: 'no topic!' can't be a Kafka topic"),
    expect.stringContaining("etl.c.topic: 'afluente.etl_a' is the topic of the job a already"),
    expect.stringContaining("etl.d.topic: 'afluente.public.leads' is the topic of the definition already"),
    expect.stringContaining("etl.e.topic: '..' can't be a Kafka topic"),
  ])
})
