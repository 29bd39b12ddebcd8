/** A database that jobs read, over a role that may read and nothing else. */
import { AfluenteError, isRefusal } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { EtlPage, EtlRelation, EtlSource, JobOnSource, PageRequest } from '../../ports/etl-source.ts'
import { type EtlJob, originName } from '../../tables/etl-job.ts'
import { missingIndexOf } from './etl-cursor-index.ts'
import { note, stillOpen } from './etl-open.ts'
import { pageOf } from './etl-page.ts'
import {
  cursorPlanQuery,
  digestQuery,
  estimateQuery,
  HAS_RECORD_HASH,
  INSPECT,
  INSPECT_TYPES,
  originOf,
  pageQuery,
  passagesOf,
  presentQuery,
  type Reading,
  relationName,
} from './etl-source-queries.ts'
import type { ReadOnlyDb } from './source-db.ts'

/** What a relation has is asked once: make a new one for each step. */
export function postgresEtlSource({ db }: { readonly db: ReadOnlyDb }): EtlSource {
  const known = new Map<string, EtlRelation>()
  let hasRecordHash: boolean | undefined
  const typesOf = async (origin: string, options: Cancellable) => {
    const { columns } = await db.read({ text: `select * from ${origin} limit 0`, values: [] }, options).catch((error: unknown) => {
      // As wrong as it is, nothing of it will come right by itself.
      throw isRefusal(error) ? new AfluenteError('misconfigured', error.code, `The job's query can't be asked. ${error.message}`, { cause: error }) : error
    })
    return db.read({ text: INSPECT_TYPES, values: [columns.map(({ name }) => name), columns.map(({ type }) => type)] }, options)
  }
  const columnsOf = async (job: EtlJob, options: Cancellable): Promise<EtlRelation | null> => {
    const { rows } =
      'query' in job.source ? await typesOf(originOf(job), options) : await db.read({ text: INSPECT, values: [relationName(job.source.relation)] }, options)
    if (rows.length === 0) return null
    const columns = Object.fromEntries(rows.map((row) => [String(row['name']), String(row['type'])]))
    const relation = { columns, isStandby: rows[0]?.['standby'] === 't', missingIndex: null }
    known.set(originOf(job), relation)
    return relation
  }
  const inspect = async (job: EtlJob, options: Cancellable): Promise<EtlRelation | null> => {
    const relation = await columnsOf(job, options)
    if (relation === null || [job.cursor, ...job.key].some((name) => relation.columns[name] === undefined)) return relation
    const { rows } = await db.read(cursorPlanQuery(job, relation), options)
    return { ...relation, missingIndex: missingIndexOf(rows[0]?.['QUERY PLAN']) }
  }
  const relationOf = async (job: EtlJob, options: Cancellable): Promise<EtlRelation> => {
    const relation = known.get(originOf(job)) ?? (await columnsOf(job, options))
    if (relation === null)
      throw new AfluenteError('misconfigured', 'no-relation', `${originName(job.source)}: the source has no such table or view that its role may read.`)
    return relation
  }
  const readingOf = async (of: JobOnSource, options: Cancellable): Promise<Reading> => {
    hasRecordHash ??= (await db.read({ text: HAS_RECORD_HASH, values: [] }, options)).rows[0]?.['there'] === 't'
    return { ...of, relation: await relationOf(of.job, options), hasRecordHash }
  }
  const read = async (reading: Reading, request: PageRequest, careful: boolean, options: Cancellable): Promise<EtlPage | null> => {
    const passages = passagesOf(reading, careful)
    const [row = {}] = await db.readBytes(pageQuery(reading, request, passages), options)
    return pageOf(reading.job, request, passages, row)
  }
  return {
    inspect,
    note: (options) => note(db, options),
    stillOpen: (noted, options) => stillOpen(db, noted, options),
    page: async (of, request, options) => {
      const reading = await readingOf(of, options)
      const page = (await read(reading, request, false, options)) ?? (await read(reading, request, true, options))
      if (page === null) throw new AfluenteError('misconfigured', 'page', `${originName(of.job.source)}: a page could not be read.`)
      return page
    },
    digests: async (of, { after, ranges, rows: size }, options) => {
      const { rows } = await db.read(digestQuery(await readingOf(of, options), after, ranges, size), options)
      return rows.map((row) => ({ last: of.job.key.map((_, nth) => String(row[`last_${nth}`])), rows: Number(row['rows']), sum: String(row['sum']) }))
    },
    has: async (job, keys, options) => {
      const { rows } = await db.read(presentQuery(job, await relationOf(job, options), keys), options)
      return Number(rows[0]?.['there'])
    },
    estimate: async (job, span, options) => guessOf((await db.read(estimateQuery(job, await relationOf(job, options), span), options)).rows[0]?.['QUERY PLAN']),
  }
}

function guessOf(plan: unknown): number {
  const parsed: unknown = typeof plan === 'string' ? JSON.parse(plan) : plan
  const top: unknown = Array.isArray(parsed) ? parsed[0] : undefined
  const node: unknown = typeof top === 'object' && top !== null ? Reflect.get(top, 'Plan') : undefined
  const rows: unknown = typeof node === 'object' && node !== null ? Reflect.get(node, 'Plan Rows') : undefined
  return typeof rows === 'number' ? Math.round(rows) : 0
}
