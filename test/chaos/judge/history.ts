/** I1, I2 and I4 of bronze: each row's history there, by version, is the one that was committed. */
import type { BronzeEvent, Evidence, Recorded } from '../evidence.ts'
import { type Finding, finding, groupedBy } from './finding.ts'

export function judgeHistory({
  written,
  recorded,
  bronze,
  bronzeChanged,
}: Pick<Evidence, 'written' | 'recorded' | 'bronze' | 'bronzeChanged'>): readonly Finding[] {
  const kept = new Set(recorded.map(nameOf))
  const expected = groupedBy(recorded, rowOf)
  const actual = groupedBy(bronze, rowOf)
  const rows = new Set([...expected.keys(), ...actual.keys()])
  return [
    ...written.committed
      .filter((note) => !kept.has(nameOf(note)))
      .map((note) => finding('source', 'lost', `${nameOf(note)} was committed, and the source has forgotten it`)),
    ...recorded
      .filter(({ token }) => written.aborted.has(token))
      .map((note) => finding('source', 'broken', `${nameOf(note)} was rolled back, and the source has it`)),
    ...bronzeChanged.map(({ op, eventId }) => finding('I2', 'broken', `bronze: ${op} of ${eventId}; events are only added`)),
    ...[...rows].flatMap((row) => judgeRow(row, expected.get(row) ?? [], actual.get(row) ?? [])),
  ]
}

function judgeRow(row: string, expected: readonly Recorded[], events: readonly BronzeEvent[]): readonly Finding[] {
  const findings: Finding[] = []
  const changes = events.filter(({ read }) => !read)
  const actual = changes.filter((event, at) => !isCascade(event, changes[at - 1]))
  for (const { eventId, token, version } of events.filter(({ read }) => read)) {
    const before = changes.findLast((change) => change.version < version)
    const stood = before?.alive === true ? before.token : null
    if (token !== stood) findings.push(finding('I4', 'stale', `${row}: ${eventId} was read as change ${token}, where ${stood ?? 'nothing'} stood`))
  }
  const wanted = expected.map((change) => (change.alive ? change.token : DELETE))
  const found = actual.map((event) => (event.alive ? String(event.token) : DELETE))
  if (wanted.join() === found.join()) return findings
  const stale = findings.length
  const [wants, has] = [countsOf(wanted), countsOf(found)]
  for (const token of new Set([...wanted, ...found])) {
    const [want, have] = [wants.get(token) ?? 0, has.get(token) ?? 0]
    const what = token === DELETE ? 'delete' : `change ${token}`
    if (have < want) findings.push(finding('I1', 'lost', `${row}: ${what} is in bronze ${have} times of ${want}`))
    else if (want === 0 && token !== DELETE) findings.push(finding('I1', 'broken', `${row}: ${what} is in bronze and was never committed`))
    else if (have > want) findings.push(finding('I2', 'doubled', `${row}: ${what} is in bronze ${have} times instead of ${want}`))
  }
  if (findings.length === stale) findings.push(finding('I4', 'broken', `${row}: committed as ${wanted.join(' ')}, but by version ${found.join(' ')}`))
  return findings
}

const DELETE = '†'

/** A session whose lead was deleted: changed once more by the cascade, under the token it had. A double would have the same image. */
function isCascade(event: BronzeEvent, before: BronzeEvent | undefined): boolean {
  return event.table === 'chat_sessions' && event.alive && before?.alive === true && before.token === event.token && before.image !== event.image
}

function countsOf(tokens: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1)
  return counts
}

function rowOf({ table, id }: { readonly table: string; readonly id: string }): string {
  return `${table} ${id}`
}

function nameOf({ token, table, id, alive }: Recorded): string {
  return `${table} ${id}: ${alive ? 'change' : 'delete'} ${token}`
}
