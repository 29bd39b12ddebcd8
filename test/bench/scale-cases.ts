/** What is turned up, one thing at a time, and the definition that each case wants. Data, and the text of its files. */
import type { Consumer } from './hops.ts'
import type { Part } from './options.ts'

/** Who reads every topic. Of the four, Postgres' two share its work; the index has what its second writer brings. */
const CONSUMERS = {
  postgres: ['postgres'],
  elasticsearch: ['elasticsearch'],
  four: ['postgres', 'postgres_bronze', 'elasticsearch', 'elasticsearch_again'],
} as const satisfies Record<string, readonly Consumer[]>

export function consumersOf({ consumers }: Pick<ScaleDefinition, 'consumers'>): readonly [Consumer, ...Consumer[]] {
  return CONSUMERS[consumers]
}

export interface ScaleDefinition {
  readonly consumers: keyof typeof CONSUMERS
  /** Of the same shape; the rows go to all of them. */
  readonly tables: number
  readonly partitions: number
  /** Durable Objects that share a consumer's group. */
  readonly instances: number
}

export interface ScaleCase {
  readonly name: string
  readonly definition: ScaleDefinition
  /** Of a row's JSON. */
  readonly rowBytes: number
  readonly rows: number
  /** Of a backlog each hop alone: rows that come and go at once have none. Of several consumers all together. */
  readonly measured: 'both' | 'each hop' | 'end to end'
}

const BASE: ScaleDefinition = { consumers: 'postgres', tables: 1, partitions: 4, instances: 1 }
const BASE_BYTES = 200

/** The base first: each other case differs from it in one thing. Fewer rows where they are large. */
export function casesOf({ backlog, only, rows }: { readonly only: readonly Part[]; readonly rows: number; readonly backlog: number }): readonly ScaleCase[] {
  const of = (part: Part, cases: readonly ScaleCase[]) => (only.includes(part) ? cases : [])
  const one = (name: string, definition: Partial<ScaleDefinition>, rowBytes = BASE_BYTES, of = rows): ScaleCase => ({
    name,
    definition: { ...BASE, ...definition },
    rowBytes,
    rows: Math.max(100, Math.round(of)),
    measured: 'both',
  })
  const indexed = (name: string, definition: Partial<ScaleDefinition>, rowBytes = BASE_BYTES, of = rows): ScaleCase =>
    one(`Elasticsearch: ${name}`, { consumers: 'elasticsearch', ...definition }, rowBytes, of)
  return [
    one('base: rows of 200 B, 1 table, 4 partitions, 1 instance', {}),
    ...of('rows', [one('rows of 2 kB', {}, 2_000, rows / 2), one('rows of 20 kB', {}, 20_000, rows / 10)]),
    ...of(
      'backlog',
      [backlog / 10, backlog].map((waiting) => ({ ...one(`backlog of ${Math.round(waiting)}`, {}, BASE_BYTES, waiting), measured: 'each hop' as const })),
    ),
    ...of('tables', [one('20 tables', { tables: 20 })]),
    ...of('partitions', [one('1 partition', { partitions: 1 }), one('16 partitions', { partitions: 16 })]),
    ...of('consumers', [
      one('4 instances of the consumer', { instances: 4 }),
      { ...one('4 consumers: silver, bronze, Elasticsearch, the same index again', { consumers: 'four' }), measured: 'end to end' },
    ]),
    ...of('elasticsearch', [
      indexed('rows of 200 B, 1 table, 4 partitions, 1 instance', {}),
      indexed('rows of 2 kB', {}, 2_000, rows / 2),
      indexed('rows of 20 kB', {}, 20_000, rows / 10),
      indexed('20 tables', { tables: 20 }),
      indexed('16 partitions', { partitions: 16 }),
      indexed('4 instances of the consumer', { instances: 4 }),
    ]),
  ]
}

/** Cases that share a stack, in their order. */
export function byDefinition(cases: readonly ScaleCase[]): readonly (readonly [ScaleCase, ...ScaleCase[]])[] {
  const groups = new Map<string, [ScaleCase, ...ScaleCase[]]>()
  for (const one of cases) {
    const key = JSON.stringify(one.definition)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [one])
    else group.push(one)
  }
  return [...groups.values()]
}

/** `company` is the mark of a measurement, as in the leads. */
const COLUMNS = { id: 'uuid', company: 'text', body: 'text' }

export function tableNames(tables: number): readonly string[] {
  return Array.from({ length: tables }, (_, at) => `scale_${String(at + 1).padStart(2, '0')}`)
}

/** Where the product's own definition goes, for the one of this bench to build on. */
export const PRODUCT = 'shared/product.ts'
export const PIPELINE = 'shared/pipeline.ts'

/** The product's definition with more tables, and the consumers that read them. */
export function pipelineText({ consumers, instances, partitions, tables }: ScaleDefinition): string {
  const listed = tableNames(tables).map((name) => `  { schema: 'public', name: '${name}', key: ['id'], columns: ${JSON.stringify(COLUMNS)} },`)
  const reads = tableNames(tables).map((name) => `'afluente.public.${name}'`)
  const silver = consumers === 'four' ? '{ ...product.consumers.postgres.sink, bronze: false }' : 'product.consumers.postgres.sink'
  const indices = tableNames(tables).map((name) => `${name}: { version: 1, fields: { body: 'text' } }`)
  const sinks: Readonly<Record<string, string>> = {
    postgres: silver,
    postgres_bronze: `{ ...product.consumers.postgres.sink, silver: false }`,
  }
  const index = `{ kind: 'elasticsearch', indices: { ${indices.join(', ')} } }`
  const listedConsumers = CONSUMERS[consumers].map(
    (name) => `    ${name}: { reads: [${reads.join(', ')}], sink: ${sinks[name] ?? index}, mode: 'continuous', instances: ${instances} },`,
  )
  return `import { pipeline as product } from './product.ts'

const tables = [
${listed.join('\n')}
]

export const pipeline = {
  ...product,
  tables: [...product.tables, ...tables],
  topics: { ...product.topics, partitions: ${partitions} },
  consumers: {
${listedConsumers.join('\n')}
  },
}
`
}

/** After every migration of the product. */
export const MIGRATION = 'supabase/migrations/29991231000000_scale.sql'

export function migrationText({ tables }: ScaleDefinition): string {
  const columns = Object.entries(COLUMNS).map(([name, type]) => `${name} ${type}`)
  return tableNames(tables)
    .map((name) => `create table public.${name} (${columns.join(', ')}, primary key (id));\nselect afluente.capture_table('public.${name}');\n`)
    .join('')
}
