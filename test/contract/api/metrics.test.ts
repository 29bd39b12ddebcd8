import { expect, test } from 'vitest'
import { createWorld, verdict } from './world.ts'

const metrics = async (options = {}) => (await createWorld(options).call('GET', '/metrics')).text()

test('the counters there are, with their labels', async () => {
  const text = await metrics({ states: { elasticsearch: 'waiting' } })
  const lines = text.split('\n')
  for (const line of [
    'afluente_build_info{version="1.2.3",environment="test \\"quoted\\"\\\\"} 1',
    'afluente_events_total{consumer="postgres",topic="afluente.public.leads",outcome="accepted"} 90',
    'afluente_events_total{consumer="postgres",topic="afluente.public.leads",outcome="duplicate"} 5',
    'afluente_events_total{consumer="postgres",topic="afluente.public.leads",outcome="late"} 3',
    'afluente_events_total{consumer="postgres",topic="afluente.public.leads",outcome="dead"} 2',
    'afluente_consumer_lag{consumer="postgres",topic="afluente.public.leads",partition="0"} 10',
    'afluente_consumer_state{consumer="elasticsearch",instance="0",state="waiting"} 1',
    'afluente_dead_letters{consumer="postgres",state="open"} 2',
    'afluente_outbox_rows 7',
    'afluente_outbox_oldest_seconds 1.5',
    'afluente_outbox_refused 0',
    'afluente_outbox_keeps{what="images"} 1',
    'afluente_outbox_keeps{what="keys"} 0',
    'afluente_tables_to_reconcile 0',
    'afluente_capture_failures_total 2',
    'afluente_tombstones_purged_total{consumer="postgres",table="public.leads"} 12',
    'afluente_purge_horizon_timestamp_seconds{consumer="postgres",table="public.leads"} 1794679200',
    'afluente_purge_horizon_timestamp_seconds{consumer="elasticsearch",table="public.leads"} 0',
    'afluente_purge_held_back{consumer="elasticsearch",table="public.leads"} 1',
  ]) {
    expect(lines).toContain(line)
  }
})

test('every sample follows its HELP and TYPE, each family once', async () => {
  const text = await metrics()
  const declared = [...text.matchAll(/^# TYPE (\S+) (?:counter|gauge)$/gm)].map(([, name]) => name)
  expect(new Set(declared).size).toBe(declared.length)
  for (const name of declared) expect(text).toMatch(new RegExp(`^# HELP ${name} \\S`, 'm'))
  for (const [, name] of text.matchAll(/^([a-z_]+)(?:\{.*\})? -?[0-9.e+]+$/gm)) expect(declared).toContain(name)
  expect(text.split('\n').filter((line) => line !== '' && !/^(?:# (?:HELP|TYPE) |[a-z_]+(?:\{.*\})? -?[0-9.e+]+$)/.test(line))).toEqual([])
  expect(text.endsWith('\n')).toBe(true)
})

test('a part that does not answer leaves its families out and is named, instead of telling zeros', async () => {
  const text = await metrics({ down: ['supabase', 'kafka'] })
  expect(text).not.toContain('afluente_outbox_rows')
  expect(text).not.toContain('afluente_consumer_lag')
  expect(text).toContain('afluente_unanswered{part="supabase"} 1')
  expect(text).toContain('afluente_events_total{consumer="postgres"')
})

test('an outbox that is refused, above its budget or full of holes is told', async () => {
  const table = { table: 'public.leads', topic: 't', failures: 0, problem: null, reconcileSince: '2026-11-22T18:00:00.123456Z', keysOnlySince: null }
  const lines = (await metrics({ backlog: { refused: 'a copy', keeps: 'keys', tables: [table] } })).split('\n')
  for (const line of [
    'afluente_outbox_refused 1',
    'afluente_outbox_keeps{what="keys"} 1',
    'afluente_outbox_keeps{what="images"} 0',
    'afluente_tables_to_reconcile 1',
  ])
    expect(lines).toContain(line)
})

test('the last verdict on each table is told, and that a later reconcile failed', async () => {
  const lines = (await metrics({ verdicts: [verdict, { ...verdict, table: 'public.chat_sessions', outcome: null, problem: 'No answer.' }] })).split('\n')
  for (const line of [
    'afluente_reconcile_discrepancies{table="public.leads",sink="silver",what="missing"} 1',
    'afluente_reconcile_discrepancies{table="public.leads",sink="index",what="extra"} 2',
    'afluente_reconcile_rows{table="public.leads"} 1000000',
    'afluente_reconcile_unopened_rows{table="public.leads"} 0',
    `afluente_reconcile_as_of_seconds{table="public.leads"} ${Date.parse(verdict.outcome.asOf) / 1_000}`,
    'afluente_reconcile_failed{table="public.leads"} 0',
    'afluente_reconcile_failed{table="public.chat_sessions"} 1',
  ])
    expect(lines).toContain(line)
  expect(lines.filter((line) => line.includes('chat_sessions') && line.includes('reconcile'))).toHaveLength(1)
})
