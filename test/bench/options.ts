import { parseArgs } from 'node:util'

export const usage = `npm run bench -- latency    [--rates 20,50,500] [--seconds 20] [--attach]
npm run bench -- throughput [--rows 200000] [--end-to-end] [--attach]

Starts a stack of its own, measures, and removes it. One JSON object a line on standard output, words on standard error.
  --attach       measure the stack that runs (npm start) in place of one of its own; its parts are not stopped then
  --end-to-end   leave each hop alone out`

export interface BenchOptions {
  readonly name: 'latency' | 'throughput'
  readonly rates: readonly number[]
  readonly seconds: number
  readonly rows: number
  readonly endToEndOnly: boolean
  readonly attach: boolean
}

/** Throws a `RangeError` with what is wrong. */
export function readOptions(args: readonly string[]): BenchOptions | 'help' {
  const options = {
    rates: { type: 'string' },
    seconds: { type: 'string' },
    rows: { type: 'string' },
    'end-to-end': { type: 'boolean' },
    attach: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const
  const { values, positionals } = parsed(() => parseArgs({ args: [...args], options, strict: true, allowPositionals: true }))
  if (values.help === true) return 'help'
  const [name, ...more] = positionals
  if ((name !== 'latency' && name !== 'throughput') || more.length > 0)
    throw new RangeError(`Which measurement? There are latency and throughput; '${positionals.join(' ')}' is none.`)
  const number = (text: string, least: number, most: number, what: string): number => {
    const value = Number(text)
    if (!(value >= least && value <= most)) throw new RangeError(`--${what}: '${text}' is not between ${least} and ${most}`)
    return value
  }
  return {
    name,
    rates: (values.rates ?? '20,50,500').split(',').map((rate) => number(rate, 1, 5_000, 'rates')),
    seconds: number(values.seconds ?? '20', 1, 3_600, 'seconds'),
    rows: Math.round(number(values.rows ?? '200000', 1_000, 10_000_000, 'rows')),
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
