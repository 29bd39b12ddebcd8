/** I9, and what of I2 and I3 shows at rest: silver and the index hold the source's rows, once, under the same and the latest versions. */
import { isDeepStrictEqual } from 'node:util'
import { type Evidence, type SilverRow, type SourceRow, type TableName, tables } from '../evidence.ts'
import type { Document } from '../index-documents.ts'
import { type Finding, finding, groupedBy } from './finding.ts'

export function judgeSinks(evidence: Pick<Evidence, 'source' | 'bronze' | 'silver' | 'documents'>): readonly Finding[] {
  return tables.flatMap((table) => {
    const of = <T extends { readonly table: TableName }>(rows: readonly T[]): readonly T[] => rows.filter((row) => row.table === table)
    const latest = new Map<string, number>()
    for (const { id, version } of of(evidence.bronze)) latest.set(id, Math.max(version, latest.get(id) ?? 0))
    const source = new Map(of(evidence.source).map((row) => [row.id, row]))
    const silver = groupedBy(of(evidence.silver), ({ id }) => id)
    const documents = groupedBy(evidence.documents[table], ({ key }) => String((JSON.parse(key) as unknown[])[0]))
    const ids = new Set([...latest.keys(), ...source.keys(), ...silver.keys(), ...documents.keys()])
    return [...ids].flatMap((id) => {
      const at = `${table} ${id}`
      return [
        ...judgeSilver(at, source.get(id), silver.get(id) ?? [], latest.get(id) ?? 0),
        ...judgeDocuments(at, source.get(id), documents.get(id) ?? [], latest.get(id) ?? 0),
      ]
    })
  })
}

function judgeSilver(at: string, source: SourceRow | undefined, rows: readonly SilverRow[], latest: number): readonly Finding[] {
  const [row, ...more] = rows
  if (row === undefined) return [finding('I9', 'lost', `silver.${at} is missing${source === undefined ? ': it was deleted, and has no tombstone' : ''}`)]
  return [
    ...more.map(() => finding('I2', 'doubled', `silver.${at} stands there more than once`)),
    ...(row.version === latest ? [] : [finding('I3', 'stale', `silver.${at} has version ${row.version}; the latest is ${latest}`)]),
    ...(row.deleted === (source === undefined)
      ? []
      : [finding('I9', 'stale', `silver.${at} is ${row.deleted ? 'deleted, and lives in the source' : 'alive, and gone in the source'}`)]),
    ...(source === undefined || row.deleted || source.text === row.text
      ? []
      : [finding('I9', 'stale', `silver.${at} differs from the source in ${differing(source.text, row.text)}`)]),
  ]
}

function judgeDocuments(at: string, source: SourceRow | undefined, documents: readonly Document[], latest: number): readonly Finding[] {
  const [document, ...more] = documents.toSorted((a, b) => Number(b.id === b.key) - Number(a.id === a.key))
  if (document === undefined)
    return [finding('I9', 'lost', `the document of ${at} is missing${source === undefined ? ': it was deleted, and has no tombstone' : ''}`)]
  const { version, ownVersion, deleted, row, shown } = document
  const living = source !== undefined
  return [
    ...more.map(({ id }) => finding('I2', 'doubled', `${at} has a further document, ${id}`)),
    ...(version === latest && ownVersion === latest
      ? []
      : [finding('I3', 'stale', `the document of ${at} has version ${version} (${ownVersion} in itself); the latest is ${latest}`)]),
    ...(deleted !== living && shown === living
      ? []
      : [finding('I9', 'stale', `the document of ${at} is ${shown ? 'shown, and gone' : 'hidden, and lives'} in the source`)]),
    ...(source === undefined || deleted || isDeepStrictEqual(JSON.parse(source.text), row)
      ? []
      : [finding('I9', 'stale', `the document of ${at} differs from the source in ${differing(source.text, JSON.stringify(row))}`)]),
  ]
}

/** The names of the columns, never what is in them. */
function differing(a: string, b: string): string {
  const [one, other] = [a, b].map((text) => JSON.parse(text) as Record<string, unknown>)
  const names = new Set([...Object.keys(one ?? {}), ...Object.keys(other ?? {})])
  return [...names].filter((name) => !isDeepStrictEqual(one?.[name], other?.[name])).join(', ') || 'the way it is written'
}
