import { parseArgs } from 'node:util'
import { simulatedTables, type SimulatedTable } from './changes.ts'

const known = [...simulatedTables, 'conversations']

export const usage = `npm run simulate -- --rate R --seconds S --seed N [--tables ${known.join(',')}]

Writes realistic inserts, updates and deletes into the source of the running stack (conversations: into its Chatwoot), each in a transaction of its own.
  --rate R      changes a second, 0.1 to 5000 (default 20)
  --seconds S   how long, 1 to 86400 (default 30)
  --seed N      a whole number; the same seed makes the same rows, ids too (default 1)
  --tables T    one or more of ${known.join(', ')} (default: ${simulatedTables.join(',')})`

export interface SimulateOptions {
  readonly rate: number
  readonly seconds: number
  readonly seed: number
  readonly tables: readonly SimulatedTable[]
  /** Chatwoot's, beside the source's tables or alone. */
  readonly conversations: boolean
}

/** The options, or everything that is wrong with them. `help` when that is all that was wanted. */
export function readOptions(args: readonly string[]): SimulateOptions | 'help' | { readonly wrong: readonly string[] } {
  const flags = {
    rate: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string' },
    tables: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  } as const
  try {
    const { values } = parseArgs({ args: [...args], options: flags, strict: true })
    if (values.help === true) return 'help'
    const tables = (values.tables ?? simulatedTables.join(',')).split(',').map((name) => name.trim())
    const picked = simulatedTables.filter((name) => tables.includes(name))
    const options = {
      rate: Number(values.rate ?? 20),
      seconds: Number(values.seconds ?? 30),
      seed: Number(values.seed ?? 1),
      tables: picked,
      conversations: tables.includes('conversations'),
    }
    const wrong = [
      ...(options.rate >= 0.1 && options.rate <= 5_000 ? [] : [`--rate ${values.rate ?? ''}: a number from 0.1 to 5000 is wanted`]),
      ...(options.seconds >= 1 && options.seconds <= 86_400 ? [] : [`--seconds ${values.seconds ?? ''}: a number from 1 to 86400 is wanted`]),
      ...(Number.isSafeInteger(options.seed) ? [] : [`--seed ${values.seed ?? ''}: a whole number is wanted`]),
      ...tables.filter((name) => !known.includes(name)).map((name) => `--tables: there is no table ${name} to simulate; there are ${known.join(', ')}`),
    ]
    return wrong.length > 0 ? { wrong } : options
  } catch (error) {
    return { wrong: [error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)] }
  }
}
