import { parseArgs } from 'node:util'

export const usage = `npm run bench -- latency    [--rates 20,50,500] [--seconds 20] [--attach]
npm run bench -- throughput [--rows 200000] [--end-to-end] [--attach]
npm run bench -- redrive    [--rows 10000] [--attach]
npm run bench -- backfill   [--rows 200000] [--rates 100] [--attach]
npm run bench -- counters   [--rows 20000] [--rounds 9]
npm run bench -- reconcile  [--rows 1000000]
npm run bench -- etl        [--rows 500000] [--view-rows 50000]
npm run bench -- capture    [--rows 100000] [--rounds 9] [--claims 1000000] [--only rows,statements,claims]
npm run bench -- short      [--rows 20000] [--seconds 5]
npm run bench -- rest       [--seconds 20]
npm run bench -- compare    COMMIT [OTHER] [--rounds 6] [--rows 20000] [--seconds 5] [--only end-to-end,hops,latency]
npm run bench -- scale      [--rows 100000] [--backlog 1000000] [--claims 1000000] [--only rows,tables,partitions,consumers,elasticsearch,backlog]

Starts a stack of its own, measures, and removes it. One JSON object a line on standard output, words on standard error.
  --attach       measure the stack that runs (npm start) in place of one of its own; its parts are not stopped then
  --end-to-end   leave each hop alone out
  backfill       --rows that are there into Postgres, alone and beside --rates single-row writes a second
  counters       what counting each event's fate costs the Postgres sink, by turns with and without; a Postgres of its own, nothing else
  reconcile      --rows of leads with ten differences, beside a plain pass over each side; the sinks are filled without the pipeline
  redrive        dead letters, --rows of them, sent through again into each sink
  compare        COMMIT against OTHER, or against the working tree as it stands: a stack of each, measured by turns, and the ratios
                 with their range; both are measured by this bench, so a commit needs none of its own
  scale          each hop and all together while one thing is turned up: rows of 200 B, 2 kB (half of --rows) and 20 kB (a tenth),
                 1 and 20 tables, 1, 4 and 16 partitions, 1 and 4 instances of the consumer, 4 consumers, a tenth of --backlog and
                 all of it waiting in the outbox and in the topic, then claim alone with --claims changes; most of it into
                 Elasticsearch too. A stack of its own for each definition
  short          what CI prints: --seconds of 50 rows/s into both sinks, then --rows into silver and bronze
  rest           memory at 500 rows/s, what the stack costs while nothing happens, how soon a first change goes out, each for --seconds
  etl            a job: full load beside COPY, 482 changed, nothing changed, reconcile; --rows from a table, --view-rows
                 through the view over Chatwoot (0: none); a Postgres of its own, nothing else
  capture        what capturing costs the writer, and how fast claim is: a Postgres of its own, nothing else; --rows in one
                 statement, --rounds by turns with and without capture, --claims changes in the outbox, --only some of its three parts`

/** Of the measurements that can be taken in part. */
const parts = {
  capture: ['rows', 'statements', 'claims'],
  compare: ['end-to-end', 'hops', 'latency'],
  scale: ['rows', 'tables', 'partitions', 'consumers', 'elasticsearch', 'backlog'],
} as const
export type Part = (typeof parts)[keyof typeof parts][number]

const names = ['latency', 'throughput', 'capture', 'redrive', 'backfill', 'reconcile', 'counters', 'etl', 'short', 'rest', 'compare', 'scale'] as const
const ROWS = {
  latency: '200000',
  throughput: '200000',
  capture: '100000',
  redrive: '10000',
  backfill: '200000',
  reconcile: '1000000',
  counters: '20000',
  etl: '500000',
  short: '20000',
  rest: '1000',
  compare: '20000',
  scale: '100000',
} as const

export interface BenchOptions {
  readonly name: (typeof names)[number]
  readonly rates: readonly number[]
  readonly seconds: number
  readonly rows: number
  readonly rounds: number
  readonly claims: number
  readonly viewRows: number
  readonly backlog: number
  readonly only: readonly Part[]
  /** Of compare: one or two. */
  readonly commits: readonly string[]
  readonly endToEndOnly: boolean
  readonly attach: boolean
}

/** Throws a `RangeError` with what is wrong. */
export function readOptions(args: readonly string[]): BenchOptions | 'help' {
  const options = {
    rates: { type: 'string' },
    seconds: { type: 'string' },
    rows: { type: 'string' },
    rounds: { type: 'string' },
    claims: { type: 'string' },
    'view-rows': { type: 'string' },
    backlog: { type: 'string' },
    only: { type: 'string' },
    'end-to-end': { type: 'boolean' },
    attach: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const
  const { values, positionals } = parsed(() => parseArgs({ args: [...args], options, strict: true, allowPositionals: true }))
  if (values.help === true) return 'help'
  const [word, ...commits] = positionals
  const name = names.find((one) => one === word)
  if (name === 'compare' && (commits.length === 0 || commits.length > 2))
    throw new RangeError(`compare: which commits? One, to compare the working tree with it, or two; '${commits.join(' ')}' are ${commits.length}.`)
  if (name === undefined || (name !== 'compare' && commits.length > 0))
    throw new RangeError(`Which measurement? There are ${names.join(', ')}; '${positionals.join(' ')}' is none.`)
  const number = (text: string, least: number, most: number, what: string): number => {
    const value = Number(text)
    if (!(value >= least && value <= most)) throw new RangeError(`--${what}: '${text}' is not between ${least} and ${most}`)
    return value
  }
  const offered: readonly Part[] = name in parts ? parts[name as keyof typeof parts] : []
  const part = (text: string): Part => {
    const found = offered.find((one) => one === text)
    if (found === undefined)
      throw new RangeError(`--only: '${text}' is no part of ${name}; ${offered.length === 0 ? 'it has none' : `there are ${offered.join(', ')}`}`)
    return found
  }
  return {
    name,
    rates: (values.rates ?? (name === 'backfill' ? '100' : '20,50,500')).split(',').map((rate) => number(rate, 1, 5_000, 'rates')),
    seconds: number(values.seconds ?? (name === 'short' || name === 'compare' ? '5' : '20'), 1, 3_600, 'seconds'),
    rows: Math.round(number(values.rows ?? ROWS[name], 1_000, 10_000_000, 'rows')),
    rounds: Math.round(number(values.rounds ?? (name === 'compare' ? '6' : '9'), 1, 1_000, 'rounds')),
    claims: Math.round(number(values.claims ?? '1000000', 2_000, 10_000_000, 'claims')),
    viewRows: Math.round(number(values['view-rows'] ?? '50000', 0, 10_000_000, 'view-rows')),
    backlog: Math.round(number(values.backlog ?? '1000000', 1_000, 10_000_000, 'backlog')),
    only: values.only === undefined ? offered : values.only.split(',').map(part),
    commits,
    endToEndOnly: values['end-to-end'] === true,
    attach: values.attach === true,
  }
}

function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new RangeError(error instanceof Error ? error.message : String(error))
  }
}
