/** The log against the writers' own record. */
import type { Logged } from './broker.ts'
import type { Committed } from './writers.ts'

export interface Audit {
  /** In words; none when all is well. */
  readonly broken: readonly string[]
  readonly events: number
  /** Records that stood in the log before. */
  readonly repeats: number
}

interface Entry {
  readonly version: number
  readonly partition: number
  readonly stamp: string | null
}

/** `table` is what the table holds at the end: key to stamp. */
export function audit(records: readonly Logged[], committed: readonly Committed[], table: ReadonlyMap<number, string>): Audit {
  const broken: string[] = []
  const first = new Map<string, { readonly value: string | null; readonly key: number }>()
  const log = new Map<number, Entry[]>()
  for (const { headers, key: text, partition, value } of records) {
    const id = String(headers['ce_id'])
    const key = Number(/^\[(\d+)\]$/.exec(text ?? '')?.[1])
    const former = first.get(id)
    if (former !== undefined) {
      if (former.value !== value || former.key !== key) broken.push(`${id} stands in the log twice, and differs`)
      continue
    }
    first.set(id, { value, key })
    const entries = log.get(key) ?? []
    entries.push({ version: Number(headers['ce_sequence']), partition, stamp: stampOf(value) })
    log.set(key, entries)
  }

  const due = Map.groupBy(committed, ({ key }) => key)
  for (const key of new Set([...due.keys(), ...log.keys(), ...table.keys()])) {
    const want = (due.get(key) ?? []).toSorted((a, b) => a.turn - b.turn)
    const have = log.get(key) ?? []
    broken.push(...brokenKey(key, have, want))
    if ((have.at(-1)?.stamp ?? null) !== (table.get(key) ?? null))
      broken.push(`key ${key}: the log ends with ${have.at(-1)?.stamp ?? 'nothing'}, the table has ${table.get(key) ?? 'nothing'}`)
  }
  return { broken, events: first.size, repeats: records.length - first.size }
}

function brokenKey(key: number, have: readonly Entry[], want: readonly Committed[]): string[] {
  if (want.some(({ turn }, at) => turn !== at + 1)) return [`key ${key}: the writers' own record has a gap; this test is wrong`]
  const broken: string[] = []
  const downs = have.filter(({ version }, at) => version <= (have[at - 1]?.version ?? 0))
  if (downs.length > 0) broken.push(`key ${key}: ${downs.length} version(s) are not above the one before`)
  if (new Set(have.map(({ partition }) => partition)).size > 1) broken.push(`key ${key}: it stands in more than one partition`)
  const missing = minus(want, have)
  const extra = minus(have, want)
  if (missing.length > 0) broken.push(`key ${key}: ${missing.length} committed change(s) are missing, the first ${missing[0]}`)
  if (extra.length > 0) broken.push(`key ${key}: ${extra.length} change(s) were never committed, the first ${extra[0]}`)
  if (missing.length === 0 && extra.length === 0) {
    const at = want.findIndex(({ stamp }, index) => stamp !== have[index]?.stamp)
    if (at >= 0) broken.push(`key ${key}: commit ${at + 1} wrote ${want[at]?.stamp ?? 'a delete'}, the log has ${have[at]?.stamp ?? 'a delete'} there`)
  }
  return broken
}

/** What is left of `all` when `taken` is taken away, one for one. */
function minus(all: readonly { readonly stamp: string | null }[], taken: readonly { readonly stamp: string | null }[]): readonly string[] {
  const left = new Map<string, number>()
  for (const { stamp } of taken) left.set(stamp ?? 'a delete', (left.get(stamp ?? 'a delete') ?? 0) + 1)
  return all
    .map(({ stamp }) => stamp ?? 'a delete')
    .filter((stamp) => {
      const rest = left.get(stamp) ?? 0
      left.set(stamp, rest - 1)
      return rest <= 0
    })
}

function stampOf(value: string | null): string | null {
  const event = JSON.parse(value ?? 'null') as { readonly after?: { readonly stamp?: string } | null } | null
  return event?.after?.stamp ?? null
}
