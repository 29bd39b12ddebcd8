import { parseArgs } from 'node:util'

export interface ChaosOptions {
  /** How long is written and broken; start, rest and audit come on top. */
  readonly seconds: number
  readonly seed: number
  /** Transactions a second, of all writers together. */
  readonly rate: number
  readonly writers: number
  /** Sabotages the sinks after a clean audit, and demands that the audit finds each of it. */
  readonly prove: boolean
  /** Keeps the logs of every part, also when all is well. */
  readonly logs: boolean
  /** The last line is one JSON object. */
  readonly json: boolean
}

export const usage = `npm run chaos -- [--seconds 600] [--seed 1] [--rate 60] [--writers 5] [--prove] [--logs] [--json]

Writes to a stack of its own from several connections while it kills, pauses and cuts off its parts, lets it come to rest, and
audits the sinks against what was committed. Exit 0 when nothing is lost, doubled or stale; 1 when something is; 2 wrong use.
  --seconds S --seed N   how long, and which faults: the same seed has the same schedule
  --rate R --writers W   transactions a second, from so many connections
  --prove                afterwards sabotages the sinks in known ways; the audit has to find each
  --logs                 keeps the logs of every part, which else are kept when something is wrong
  --json                 the last line is the result as one JSON object`

/** Undefined when help was asked for. Throws for what can't be understood. */
export function readOptions(args: readonly string[]): ChaosOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '600' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '60' },
      writers: { type: 'string', default: '5' },
      prove: { type: 'boolean', default: false },
      logs: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) return undefined
  const number = (name: 'seconds' | 'seed' | 'rate' | 'writers', least: number, most: number) => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < least || value > most)
      throw new RangeError(`--${name}: '${values[name]}' is no whole number from ${least} to ${most}`)
    return value
  }
  return {
    seconds: number('seconds', 5, 86_400),
    seed: number('seed', 0, 2 ** 32 - 1),
    rate: number('rate', 1, 2_000),
    writers: number('writers', 1, 32),
    prove: values.prove,
    logs: values.logs,
    json: values.json,
  }
}
