import { expect, test } from 'vitest'
import type { Log } from '../../../shared/ports/log.ts'
import { eventually } from '../../support/poll.ts'
import { realKafka } from './kafka-server.ts'
import { numbered, readAll, start, valuesOf } from './subject.ts'
import { subscriptionSuite } from './suite.ts'

const kafka = realKafka()

subscriptionSuite(() => kafka.subject())

test('records near the largest size come, and do not hold up the small ones behind them', async () => {
  const subject = await kafka.subject()
  const large = 'x'.repeat(6 * 1024 * 1024)
  for (const key of ['["a"]', '["b"]', '["c"]']) await subject.publish([{ key, value: large }])
  await subject.publish(numbered(40))
  const values = valuesOf(await readAll(subject.member()))
  expect(values.filter((value) => value.length === large.length)).toHaveLength(3)
  expect(values).toHaveLength(43)
})

test('a slow handler bounds what is fetched ahead, and everything still comes', async () => {
  const subject = await kafka.subject()
  const filler = 'x'.repeat(64 * 1024)
  for (let round = 0; round < 8; round += 1) await subject.publish(numbered(100, round * 100).map(({ key }) => ({ key, value: filler })))
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const run = start(subject.member(), ({ partition }) => (partition === 0 ? released : Promise.resolve()))
  await eventually(
    'the other partitions are through',
    () => run.batches.filter(({ partition }) => partition > 0).flatMap(({ records }) => records).length > 500,
  )
  release()
  await eventually('everything came', () => run.values().length === 800)
  await run.stop()
})

test('committed offsets whose records are gone raise an error line, and reading goes on at the earliest record', async () => {
  const lines: { readonly event: string; readonly fields: unknown }[] = []
  const log: Log = { info: () => {}, warn: () => {}, error: (event, fields) => void lines.push({ event, fields }) }
  const subject = await kafka.subject(log)
  await subject.publish([{ key: '["a"]', value: '0' }])
  const [first] = await readAll(subject.member())
  const partition = first?.partition ?? -1
  for (const value of ['1', '2', '3']) await subject.publish([{ key: '["a"]', value }])
  // Also makes kafkajs learn who leads the partition; without that it says there is no leader.
  await kafka.admin().fetchTopicOffsets(subject.topic)
  await kafka.admin().deleteTopicRecords({ topic: subject.topic, partitions: [{ partition, offset: '3' }] })

  expect(valuesOf(await readAll(subject.member()))).toEqual(['3'])
  expect(lines).toEqual([{ event: 'offsets.gone', fields: { group: subject.group, topic: subject.topic, partition, wanted: '1', earliest: '3' } }])
})

test('a topic made anew is read from its beginning, though the committed offset lies behind its end', async () => {
  const events: string[] = []
  const subject = await kafka.subject({ info: () => {}, warn: () => {}, error: (event) => void events.push(event) })
  await subject.publish(numbered(40))
  await readAll(subject.member())
  await kafka.commit(subject.group, subject.topic, '1000')
  expect(valuesOf(await readAll(subject.member()))).toHaveLength(40)
  expect(new Set(events)).toEqual(new Set(['offsets.gone']))
})

test('records that are deleted under a running member are told and skipped, and the rest comes', async () => {
  const events: string[] = []
  const subject = await kafka.subject({ info: () => {}, warn: () => {}, error: (event) => void events.push(event) })
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const filler = 'x'.repeat(1024 * 1024)
  const publish = async (values: readonly string[]) => {
    for (const value of values) await subject.publish([{ key: '["a"]', value: `${value} ${filler}` }])
  }
  await publish(numbered(30).map(({ value }) => value))
  const run = start(subject.member(), () => released)
  const partition = await eventually('the first records are being handled', () => run.batches[0]?.partition)
  // The queue is full by now and has stopped fetching; what it has not fetched goes away.
  const [range] = (await kafka.admin().fetchTopicOffsets(subject.topic)).filter((one) => one.partition === partition)
  await kafka.admin().deleteTopicRecords({ topic: subject.topic, partitions: [{ partition, offset: String(Number(range?.high ?? 0) - 1) }] })
  release()
  await eventually('the last record came', () => run.values().some((value) => value.startsWith('29 ')))
  await run.stop()
  expect(run.values().length).toBeLessThan(30)
  expect(new Set(run.values()).size).toBe(run.values().length)
  expect(events).toEqual(['offsets.gone'])
})

test('a topic that is not there is told as misconfigured', async () => {
  const subject = await kafka.subject()
  await kafka.admin().deleteTopics({ topics: [subject.topic] })
  await expect(readAll(subject.member())).rejects.toMatchObject({ name: 'AfluenteError', kind: 'misconfigured' })
})
