/** I2, I3, I4, I6 and I7, from what triggers, samples, topics and the proxy saw on the way. */
import { REFUSAL } from '../letters.ts'
import type { Evidence } from '../evidence.ts'
import { fencedIn } from './epochs.ts'
import { type Finding, finding, groupedBy } from './finding.ts'

/** What silver took: each event once, each row's version only upwards, nothing removed. */
export function judgeApplied({ applied, wentBack }: Pick<Evidence, 'applied' | 'wentBack'>): readonly Finding[] {
  const findings: Finding[] = wentBack.map((what) =>
    finding(what.includes('offset') || what.startsWith('end') ? 'I7' : 'I3', 'stale', `seen while it ran: ${what}`),
  )
  const once = new Set<string>()
  for (const { table, id, op, eventId, version, oldVersion } of applied) {
    const at = `silver.${table} ${id}`
    if (op === 'DELETE') findings.push(finding('I3', 'lost', `${at} was removed`))
    else if (oldVersion !== null && version <= oldVersion) findings.push(finding('I3', 'stale', `${at} went from version ${oldVersion} to ${version}`))
    if (op === 'DELETE') continue
    const event = `${table} ${id} ${eventId}`
    if (once.has(event)) findings.push(finding('I2', 'doubled', `${at}: ${eventId} took effect twice`))
    once.add(event)
  }
  return findings
}

/** What capture sent: each row's changes in order, counting the first time each was sent; and bronze has exactly what was sent. */
export function judgeTopics({ records, bronze }: Pick<Evidence, 'records' | 'bronze'>): readonly Finding[] {
  const findings: Finding[] = []
  const kept = new Set(bronze.map(({ eventId }) => eventId))
  const sent = new Set(records.map(({ eventId }) => eventId))
  for (const id of sent) if (!kept.has(id)) findings.push(finding('I1', 'lost', `${id} is on its topic and not in bronze`))
  for (const id of kept) if (!sent.has(id)) findings.push(finding('I2', 'broken', `${id} is in bronze and on no topic`))
  for (const [key, ofKey] of groupedBy(records, ({ topic, key }) => `${topic} ${key}`)) {
    if (new Set(ofKey.map(({ partition }) => partition)).size > 1) findings.push(finding('I4', 'broken', `${key} is on more than one partition`))
    const seen = new Set<string>()
    let highest = 0
    for (const { eventId, version } of ofKey) {
      if (!seen.has(eventId) && version < highest) findings.push(finding('I4', 'broken', `${key}: ${eventId} was sent first after version ${highest}`))
      seen.add(eventId)
      highest = Math.max(highest, version)
    }
  }
  return findings
}

/** The counters against the topics: all is settled, every record counted, and, where bronze tells them apart, no event counted as new twice. */
export function judgeCounters({
  counters,
  records,
  bronze,
  flow,
  letters,
  refusals,
  progressed,
}: Pick<Evidence, 'counters' | 'records' | 'bronze' | 'flow' | 'letters' | 'refusals' | 'progressed'>): readonly Finding[] {
  // Those that are meant to be have come to their good end; any other is a row that no sink should have refused.
  const findings: Finding[] = letters
    .filter(({ message, state }) => state !== 'resolved' || !message.includes(REFUSAL))
    .map(({ consumer, eventId, message, state }) => finding('I6', 'lost', `${consumer} buried ${eventId}, which is ${state}: ${message}`))
  for (const { failedAgain, letters: came } of refusals)
    if (failedAgain === 0) findings.push(finding('I6', 'broken', `of a refusal came ${came} dead letters, of which none was refused again`))
  const placeOf = ({ topic, partition }: { readonly topic: string; readonly partition: number }) => `${topic}, partition ${partition}`
  const onTopic = groupedBy(records, placeOf)
  // What was kept for a letter is known to bronze when it comes again: then it counts as what it is, a duplicate.
  const fenced = fencedIn(progressed)
  const inBronze = groupedBy(
    bronze.filter(({ xid }) => fenced.has(xid)),
    placeOf,
  )
  for (const { accepted, consumed, consumer, dead, duplicate, late, nextOffset, ...place } of counters) {
    const at = `${consumer}, ${placeOf(place)}`
    const count = onTopic.get(placeOf(place))?.length ?? 0
    const events = inBronze.get(placeOf(place))?.length ?? 0
    const end = flow.ends.find((one) => placeOf(one) === placeOf(place))?.offset ?? 0n
    if (accepted + duplicate + late + dead !== consumed)
      findings.push(finding('I6', 'broken', `${at}: ${accepted} + ${duplicate} + ${late} + ${dead} is not ${consumed}`))
    if (BigInt(nextOffset) !== end) findings.push(finding('I6', 'lost', `${at}: settled up to ${nextOffset} of ${end}`))
    if (consumed < count) findings.push(finding('I6', 'lost', `${at}: ${consumed} counted of ${count}`))
    // The index doesn't say what it held before, so an event that comes again beside a newer one of its row counts there as it does. And a redrive counts for itself.
    if (consumer !== 'postgres' || isRedrive(place)) continue
    if (accepted + late !== events) findings.push(finding('I6', 'broken', `${at}: ${accepted} accepted and ${late} late of ${events} events`))
  }
  for (const [place, ofPlace] of onTopic) {
    const settling = counters.filter((row) => placeOf(row) === place).length
    if (settling < 2) findings.push(finding('I6', 'lost', `${place}: ${ofPlace.length} records, and ${settling} of 2 consumers have been there`))
  }
  for (const { consumer, offset, ...place } of flow.committed) {
    const end = flow.ends.find((one) => placeOf(one) === placeOf(place))?.offset ?? 0n
    if (offset > end) findings.push(finding('I7', 'broken', `${consumer}, ${placeOf(place)}: Kafka's committed offset ${offset} is beyond the end ${end}`))
  }
  return findings
}

function isRedrive({ topic }: { readonly topic: string }): boolean {
  return topic.endsWith('.dlq')
}
