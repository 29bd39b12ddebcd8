/** `npm run fuzz`. Exit 0 well, 1 a fault was found, 2 wrong use. One JSON object for each hundred schemas, words on standard error. */
import { parseArgs } from 'node:util'
import { startPostgres } from '../support/postgres.ts'
import { FuzzFailure, openWorld, type Figures } from '../support/random-source/world.ts'

const usage = `npm run fuzz -- [--schemas 3000] [--seed 1] [--workers 3]

Makes random tables with triggers of their own, writes them from several sessions, and compares what capture sent with what is there.
  --schemas N --seed S    the schemas of the seeds S, S + 1, … S + N - 1; one again: --seed S --schemas 1
  --workers W             so many databases at once`

interface Options {
  readonly schemas: number
  readonly seed: number
  readonly workers: number
}

const options = wanted()
if (options !== undefined) process.exitCode = await fuzz(options)

async function fuzz({ schemas, seed, workers }: Options): Promise<number> {
  const postgres = await startPostgres()
  const started = Date.now()
  let [next, done] = [seed, 0]
  const failures: FuzzFailure[] = []
  const sum = { tables: 0, statements: 0, refused: 0, events: 0 }
  const report = () => {
    process.stdout.write(`${JSON.stringify({ schemas: done, ...sum, failures: failures.length, seconds: (Date.now() - started) / 1000 })}\n`)
  }
  const work = async () => {
    const world = await openWorld(postgres)
    while (next < seed + schemas && failures.length === 0) {
      next += 1
      try {
        const figures: Figures = await world.run(next - 1)
        for (const name of ['tables', 'statements', 'refused', 'events'] as const) sum[name] += figures[name]
      } catch (error) {
        if (!(error instanceof FuzzFailure)) throw error
        failures.push(error)
      }
      done += 1
      if (done % 100 === 0 && done < schemas) report()
    }
    await world.close()
  }
  try {
    await Promise.all(Array.from({ length: Math.min(workers, schemas) }, () => work()))
  } finally {
    await postgres.stop()
  }
  report()
  for (const failure of failures) {
    process.stderr.write(`${failure.script}\n\n✗ ${failure.message}\n  again: npm run fuzz -- --seed ${failure.seed} --schemas 1\n`)
  }
  return failures.length > 0 ? 1 : 0
}

function wanted(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        schemas: { type: 'string', default: '3000' },
        seed: { type: 'string', default: '1' },
        workers: { type: 'string', default: '3' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help === true) {
      process.stdout.write(`${usage}\n`)
      return undefined
    }
    const number = (name: 'schemas' | 'seed' | 'workers', least: number, most: number) => {
      const value = Number(values[name])
      if (!Number.isInteger(value) || value < least || value > most)
        throw new RangeError(`--${name}: '${values[name]}' is no whole number from ${least} to ${most}`)
      return value
    }
    return { schemas: number('schemas', 1, 10_000_000), seed: number('seed', 0, 2 ** 32 - 1), workers: number('workers', 1, 6) }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`)
    process.exitCode = 2
    return undefined
  }
}
