/** Whether the cursor has an index, told from a plan made while sequential scans were dear: the column behind a view's has another name, if any. */
import { quoted } from '../../mappings/column-types.ts'
import { PROBE } from './etl-source-queries.ts'

interface Found {
  indexed: boolean
  missing: string | null
}

/** How to make the index that is missing; null: there is one, or nothing that an index could be on. */
export function missingIndexOf(plan: unknown): string | null {
  const parsed: unknown = typeof plan === 'string' ? JSON.parse(plan) : plan
  const found: Found = { indexed: false, missing: null }
  visit(parsed, found)
  return found.indexed ? null : found.missing
}

function visit(node: unknown, found: Found): void {
  if (Array.isArray(node)) {
    for (const member of node) visit(member, found)
    return
  }
  if (typeof node !== 'object' || node === null) return
  if (textOf(node, 'Index Cond').includes(PROBE)) found.indexed = true
  const [, column] = new RegExp(`(?:\\w+|"[^"]+")\\.(\\w+|"[^"]+") >= '${PROBE.replaceAll('.', '\\.')}'`).exec(textOf(node, 'Filter')) ?? []
  const table = textOf(node, 'Relation Name')
  if (column !== undefined && table !== '') {
    const name = column.startsWith('"') ? column : quoted(column)
    found.missing = `create index concurrently on ${quoted(textOf(node, 'Schema'))}.${quoted(table)} (${name});`
  }
  for (const member of Object.values(node)) visit(member, found)
}

function textOf(node: object, name: string): string {
  const value: unknown = Reflect.get(node, name)
  return typeof value === 'string' ? value : ''
}
