/** I7 and I8: who wrote what under which epoch, from what triggers and the proxy saw. */
import type { Claim } from '../claims.ts'
import type { BronzeEvent, Evidence, Progressed } from '../evidence.ts'
import type { Refusal } from '../letters.ts'
import { type Finding, finding, groupedBy } from './finding.ts'

/** Epochs and offsets only go up, and whoever wrote said the epoch that was in force. */
export function judgeEpochs({
  progressed,
  claims,
  applied,
  bronze,
  letters,
  refusals,
}: Pick<Evidence, 'progressed' | 'claims' | 'applied' | 'bronze' | 'letters' | 'refusals'>): readonly Finding[] {
  const findings: Finding[] = []
  const byConnection = groupedBy(claims, ({ connection }) => String(connection))
  const fenced = fencedIn(progressed)
  for (const change of progressed) {
    const at = `${change.consumer}, ${change.topic}, partition ${change.partition}`
    if (change.op === 'DELETE') findings.push(finding('I7', 'broken', `${at}: its progress was removed`))
    if (change.oldEpoch !== null && change.epoch < change.oldEpoch)
      findings.push(finding('I8', 'broken', `${at}: epoch ${change.oldEpoch}, then ${change.epoch}`))
    if (change.oldNextOffset !== null && change.nextOffset < change.oldNextOffset)
      findings.push(finding('I7', 'stale', `${at}: settled up to ${change.oldNextOffset}, then ${change.nextOffset}`))
    if (!isWritten(change)) continue
    const said = saidBy(change, byConnection.get(String(change.connection)) ?? [])
    if (!said.some((claim) => isUnder(change, claim)))
      findings.push(
        finding(
          'I8',
          'broken',
          `${at}: written under epoch ${said.map((claim) => ('epoch' in claim ? claim.epoch : 'none')).join(' or ')} while ${change.epoch} was in force`,
        ),
      )
  }
  for (const { xid, table, id, eventId } of applied)
    if (!fenced.has(xid)) findings.push(finding('I8', 'broken', `silver.${table} ${id}: ${eventId} was written beside the fence`))
  // What is kept for a letter holds the fence and moves nothing: that is its burial's to do, to which it may not have come.
  const buried = new Set(letters.map(({ eventId }) => eventId))
  const taken = new Set(applied.map(({ xid }) => xid))
  const isKept = (event: BronzeEvent) => !taken.has(event.xid) && (buried.has(event.eventId) || refusals.some((refusal) => mayRefuse(refusal, event)))
  for (const event of bronze)
    if (!fenced.has(event.xid) && !isKept(event)) findings.push(finding('I8', 'broken', `bronze: ${event.eventId} was written beside the fence`))
  return findings
}

/** So long after the end of a refusal what it refused may still be kept: whoever does it may be slow, or stand still. */
const KEPT_WITHIN_MS = 60_000

function mayRefuse({ fromMs, quarter, untilMs }: Refusal, event: BronzeEvent): boolean {
  const { alive, receivedAtMs, table } = event
  return table === 'leads' && alive && event.quarter === quarter && receivedAtMs >= fromMs && receivedAtMs <= untilMs + KEPT_WITHIN_MS
}

/** The transactions that moved a partition on. One that is taken has no writer yet. */
export function fencedIn(progressed: readonly Progressed[]): ReadonlySet<string> {
  return new Set(progressed.filter(isWritten).map(({ xid }) => xid))
}

function isWritten({ epoch, oldEpoch, op }: Progressed): boolean {
  return op !== 'INSERT' && epoch === oldEpoch
}

type Statement = Evidence['claims'][number]

/** The statement that ran on the connection then: the last one that had gone out, or the one before where both went out in one millisecond. */
function saidBy({ atMs }: Progressed, statements: readonly Statement[]): readonly Statement[] {
  let [from, to] = [0, statements.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if ((statements[middle]?.atMs ?? 0) <= atMs) from = middle + 1
    else to = middle
  }
  const [before, last] = [statements[from - 2], statements[from - 1]]
  if (last === undefined) return []
  return before !== undefined && Math.floor(last.atMs) === Math.floor(atMs) ? [last, before] : [last]
}

function isUnder(change: Progressed, claim: Statement): claim is Claim {
  return (
    'epoch' in claim &&
    claim.epoch === change.epoch &&
    claim.consumer === change.consumer &&
    claim.topic === change.topic &&
    claim.partition === change.partition
  )
}
