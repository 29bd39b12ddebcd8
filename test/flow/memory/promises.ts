/** What must hold when a world is at rest: the promises of the design, read off the twins. */
import { decode, recordId } from '../../../shared/events/envelope.ts'
import { eventIdOf } from '../../../shared/events/change.ts'
import { deadLetterTopicOf } from '../../../shared/engine/define.ts'
import { isDead, type Side, TABLE_NAME, TOPIC } from '../../support/failpoints/setting.ts'
import type { World } from './world.ts'

export function brokenPromises(world: World): readonly string[] {
  return [
    ...world.violations,
    ...onTopic(world),
    ...world.sides.flatMap((side) => [...inRows(world, side), ...inBronze(world, side), ...inLetters(world, side), ...inCounts(side)]),
    ...between(world),
  ]
}

const place = (record: { readonly topic: string; readonly partition: number; readonly offset: string }) =>
  `${record.topic}:${record.partition}:${record.offset}`

/** Every committed change stands on the topic, and nothing that was rolled back. */
function onTopic({ source, topics }: World): string[] {
  const sent = new Set(topics.all(TOPIC).flatMap((record) => (record.headers['ce_id'] === undefined ? [] : [recordId(record)])))
  const committed = new Set(source.history.map((change) => eventIdOf(change.table, change.version)))
  return [
    ...[...committed].filter((id) => !sent.has(id)).map((id) => `${id} was committed and is not on the topic`),
    ...[...sent].filter((id) => !committed.has(id)).map((id) => `${id} is on the topic and was never committed`),
  ]
}

/** The version of the last truncate: what is not above it is dead. */
export function floorOf({ source }: World): number {
  return Math.max(0, ...source.history.filter(({ op }) => op === 'truncate').map(({ version }) => version))
}

/**
 * I9: each key stands at its highest version above the floor, deleted or as it was; where no row was refused that is the source's own row.
 * A key that has none is nowhere, or a tombstone.
 */
function inRows(world: World, { name, analytics }: Side): string[] {
  const { source } = world
  const rows = analytics.silver.get(TABLE_NAME) ?? new Map()
  const floor = floorOf(world)
  const faults: string[] = []
  const ofRows = source.history.filter(({ op }) => op !== 'truncate')
  for (const key of new Set(ofRows.map((change) => change.key))) {
    const changes = ofRows.filter((change) => change.key === key && change.version > floor)
    const last = changes.filter(({ after }) => !isDead(after)).toSorted((a, b) => b.version - a.version)[0]
    const row = rows.get(key)
    if ((last !== undefined && row?.version !== last.version) || (row?.after ?? null) !== (last?.after ?? null))
      faults.push(`${name}: ${key} is ${JSON.stringify(row)} and should be at ${last?.version} ${last?.after}, above the floor ${floor}`)
    const anyRefused = changes.some(({ after }) => isDead(after))
    if (!anyRefused && (row?.after ?? null) !== (source.rows(TABLE_NAME).get(key) ?? null)) faults.push(`${name}: ${key} differs from the source`)
  }
  return faults
}

/** I1, I2: bronze holds every event of the topic, and every record that is none, once. */
function inBronze({ topics }: World, { name, analytics }: Side): string[] {
  if (name !== 'postgres') return []
  const expected = new Set(topics.all(TOPIC).map(recordId))
  return [
    ...[...expected].filter((id) => !analytics.bronze.has(id)).map((id) => `bronze lacks ${id}`),
    ...[...analytics.bronze.keys()].filter((id) => !expected.has(id)).map((id) => `bronze has ${id}, which nobody sent`),
  ]
}

/** What can't be applied is a dead letter, in the table and on the topic, and nothing else is. */
function inLetters({ topics }: World, { name, analytics }: Side): string[] {
  const bad = topics.all(TOPIC).filter((record) => {
    const decoded = decode(record)
    return !decoded.ok || isDead(decoded.event.after)
  })
  const expected = new Set(bad.map(place))
  const buried = new Set([...analytics.letters.values()].map(({ record }) => place(record)))
  const dead = topics.all(deadLetterTopicOf(TOPIC)).filter(({ headers }) => String(headers['afluente_consumer']) === name)
  const sent = new Set(
    dead.map(({ headers }) => `${String(headers['afluente_topic'])}:${String(headers['afluente_partition'])}:${String(headers['afluente_offset'])}`),
  )
  return [buried, sent].flatMap((have, index) => {
    const where = `${name}: ${index === 0 ? 'the table of dead letters' : 'the dead-letter topic'}`
    return [
      ...[...expected].filter((at) => !have.has(at)).map((at) => `${where} lacks ${at}`),
      ...[...have].filter((at) => !expected.has(at)).map((at) => `${where} has ${at}, which can be applied`),
    ]
  })
}

/** I6: accepted + duplicate + late + dead = consumed. */
function inCounts({ name, analytics }: Side): string[] {
  return [...analytics.progress.values()].flatMap(({ partition, consumed, accepted, duplicate, late, dead }) =>
    accepted + duplicate + late + dead === consumed ? [] : [`${name}: partition ${partition} has ${accepted} + ${duplicate} + ${late} + ${dead} ≠ ${consumed}`],
  )
}

/** I9: both sinks hold the same versions, of all that is above the floor. */
function between(world: World): string[] {
  const [postgres, index] = world.sides
  const floor = floorOf(world)
  const versions = (side: Side | undefined) => {
    const rows = [...(side?.analytics.silver.get(TABLE_NAME) ?? [])].filter(([, row]) => row.version > floor)
    return JSON.stringify(rows.map(([key, row]) => `${key} ${row.version}`).toSorted())
  }
  return versions(postgres) === versions(index) ? [] : [`the sinks hold different versions: ${versions(postgres)} and ${versions(index)}`]
}
