/** Checks the ETL jobs of a definition before anything connects. */
import { cleanings, deleteModes, type EtlColumn, etlDatabases, type EtlJob } from '../tables/etl-job.ts'
import { isColumnType, plainTypes } from '../tables/table.ts'
import { TOPIC_NAME } from './define.ts'
import { milliseconds } from './duration.ts'
import { scheduleFaults } from './etl-schedule.ts'

const NAME = /^[a-z][a-z0-9_]{0,39}$/
/** Silver's own columns of a job's table, and what a job's statements add. */
const RESERVED = new Set(['_deleted_at', '_hash', '_is_new', '_range', '_synced_at'])
const SECRET = /^(?:encrypted_password|tokens|.*_token|.*password.*|.*secret.*)$/
const MOST_ROWS = 10_000
const KEY_TYPES = ['smallint', 'integer', 'bigint', 'uuid']

/** What the rest of the definition has: names that silver gives to source tables, and topics. */
export interface Taken {
  readonly tables: readonly string[]
  readonly topics: readonly string[]
}

/** Every fault of the jobs in plain words. */
export function etlFaults(jobs: Readonly<Record<string, EtlJob>>, taken: Taken): readonly string[] {
  const tables = Object.values(jobs).map(({ into }) => into)
  return [
    ...Object.entries(jobs).flatMap(([name, job]) => jobFaults(name, job)),
    ...tables.filter((into, at) => tables.indexOf(into) !== at).map((into) => `etl: two jobs write silver.${into}; each needs a table of its own.`),
    ...tables
      .filter((into) => taken.tables.includes(into))
      .map((into) => `etl: silver.${into} is the copy of a source table; the job needs another name in 'into'.`),
    ...topicFaults(jobs, taken.topics),
  ]
}

/** Kafka itself takes dot and underscore for the same where it names its figures, and refuses the second of such a pair. */
function topicFaults(jobs: Readonly<Record<string, EtlJob>>, taken: readonly string[]): string[] {
  const figure = (topic: string) => topic.replaceAll('.', '_')
  const seen = new Map(taken.map((topic) => [figure(topic), 'the definition']))
  return Object.entries(jobs).flatMap(([name, { topic }]) => {
    if (topic === undefined) return []
    const at = `etl.${name}.topic`
    if (!TOPIC_NAME.test(topic)) return [`${at}: '${topic}' can't be a Kafka topic; use letters, digits, dot, dash, underscore, at most 249.`]
    const owner = seen.get(figure(topic))
    seen.set(figure(topic), `the job ${name}`)
    return owner === undefined ? [] : [`${at}: '${topic}' is the topic of ${owner} already, or too like it for Kafka; each job needs one of its own.`]
  })
}

function jobFaults(name: string, job: EtlJob): string[] {
  const at = `etl.${name}`
  const columns = Object.keys(job.columns)
  const named = (what: string, list: readonly string[]) =>
    list.filter((column) => !columns.includes(column)).map((column) => `${at}.${what}: ${column} is none of its columns (${columns.join(', ')}).`)
  const cursor = job.columns[job.cursor]
  return [
    ...(NAME.test(name) ? [] : [`${at}: a job's name is lower-case letters, digits or underscore, at most 40.`]),
    ...(NAME.test(job.into) ? [] : [`${at}.into: '${job.into}' can't be a table; use lower-case letters, digits or underscore, at most 40.`]),
    ...(job.key.length === 0 ? [`${at}.key: it names no column.`] : []),
    ...named('key', job.key),
    ...job.key.flatMap((column) => {
      const type = job.columns[column]?.type
      return type === undefined || oneOf(KEY_TYPES, type)
        ? []
        : [`${at}.key: ${column} is ${type}; a key is of ${KEY_TYPES.join(', ')}, whose order is the same in every database.`]
    }),
    ...named('cursor', [job.cursor]),
    ...named('secrets', job.secrets ?? []),
    ...(cursor === undefined || cursor.type === 'timestamptz' || cursor.type === 'timestamp'
      ? []
      : [`${at}.cursor: ${job.cursor} is ${cursor.type}, and must be a time.`]),
    ...(oneOf(etlDatabases, job.source.database) ? [] : [`${at}.source.database: there are ${etlDatabases.join(', ')}.`]),
    ...originFaults(`${at}.source`, job.source),
    ...(oneOf(deleteModes, job.deletes) ? [] : [`${at}.deletes: there are ${deleteModes.join(', ')}.`]),
    ...(Number.isInteger(job.pageRows) && job.pageRows >= 1 && job.pageRows <= MOST_ROWS
      ? []
      : [`${at}.pageRows: ${job.pageRows} is not a whole number from 1 to ${MOST_ROWS}.`]),
    ...durationFaults(`${at}.overlap`, job.overlap),
    ...durationFaults(`${at}.margin`, job.margin),
    ...(job.schedule === undefined ? [] : scheduleFaults(`${at}.schedule`, job.schedule)),
    ...(job.reconcile === undefined ? [] : scheduleFaults(`${at}.reconcile`, job.reconcile)),
    ...columns.filter((column) => RESERVED.has(column)).map((column) => `${at}: a column may not be named ${column}; silver uses that name.`),
    ...columns
      .filter((column) => SECRET.test(column) && job.secrets?.includes(column) !== true)
      .map((column) => `${at}.columns.${column}: it looks like a secret. Leave it out, or name it in 'secrets' when it must be copied.`),
    ...Object.entries(job.columns).flatMap(([column, spec]) => columnFaults(`${at}.columns.${column}`, spec)),
  ]
}

function columnFaults(at: string, { type, clean = [], between }: EtlColumn): string[] {
  const written: string = type
  return [
    ...(isColumnType(written) ? [] : [`${at}: '${written}' is no type; there are ${plainTypes.join(', ')}, numeric(p,s), and arrays of them like text[].`]),
    ...clean.filter((name) => !oneOf(cleanings, name)).map((name) => `${at}.clean: '${name}' is none of ${cleanings.join(', ')}.`),
    ...(between === undefined || between[0] <= between[1] ? [] : [`${at}.between: ${between[0]} is more than ${between[1]}.`]),
  ]
}

function durationFaults(at: string, duration: string): string[] {
  try {
    milliseconds(duration)
    return []
  } catch (error) {
    return [`${at}: ${error instanceof Error ? error.message : 'not a duration'}`]
  }
}

function oneOf(list: readonly string[], text: string): boolean {
  return list.includes(text)
}

/** That a query is one that can be asked is for its database to say, before a row is read. */
function originFaults(at: string, source: EtlJob['source']): readonly string[] {
  if (!('query' in source)) return /^[^.\s]+\.[^.\s]+$/.test(source.relation) ? [] : [`${at}.relation: '${source.relation}' is not <schema>.<name>.`]
  if ('relation' in source) return [`${at}: has a relation and a query; a job reads one of them.`]
  if (source.query.trim() === '') return [`${at}.query: is empty.`]
  return /;\s*$/.test(source.query) ? [`${at}.query: leave the semicolon at its end out.`] : []
}
