/** `npm run mutants`. Exit 0 when each guard is missed by some test, 1 when one is not, 2 wrong use. One JSON object a guard with --json, words otherwise. */
import { parseArgs } from 'node:util'
import { type Guard, guards } from './guards.ts'
import { copyOf } from './sabotage.ts'

const usage = `npm run mutants -- [--only TEXT] [--list] [--json]

Takes out each guard that the promises rest on, one at a time, in a copy of the project, and runs the tests that must notice.
First each of those tests has to pass with nothing taken out.
  --only TEXT   the guards whose name or file has this text
  --list        their names, and nothing is run`

const wanted = options()
process.exitCode = wanted === undefined ? process.exitCode : await hunt(wanted)

interface Options {
  readonly chosen: readonly Guard[]
  readonly list: boolean
  readonly json: boolean
}

async function hunt({ chosen, list, json }: Options): Promise<number> {
  if (list) {
    for (const { name, file } of chosen) process.stdout.write(`${name}  (${file})\n`)
    return 0
  }
  const copy = await copyOf(process.cwd())
  const passing = new Set<string>()
  let survived = 0
  try {
    for (const [at, guard] of chosen.entries()) {
      const began = Date.now()
      const suite = guard.tests.join(' ')
      if (!passing.has(suite)) {
        const broken = await copy.failing(guard, false)
        const [first] = broken
        if (first !== undefined) throw new Error(`With nothing taken out, '${first.test}' fails: ${first.reason} Mend that first.`)
        passing.add(suite)
      }
      const noticed = await copy.failing(guard, true)
      if (noticed.length === 0) survived += 1
      const seconds = ((Date.now() - began) / 1000).toFixed(1)
      const place = `[${at + 1}/${chosen.length}]`
      if (json)
        process.stdout.write(
          `${JSON.stringify({ guard: guard.name, file: guard.file, killed: noticed.length > 0, by: noticed[0]?.test ?? null, seconds: Number(seconds) })}\n`,
        )
      else
        process.stdout.write(
          `${place} ${noticed.length > 0 ? '✓' : '✗ NOBODY NOTICED:'} ${guard.name} (${seconds} s)${noticed.length > 0 ? `\n        by: ${noticed[0]?.test}` : ''}\n`,
        )
    }
  } catch (error) {
    process.stderr.write(`✗ ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    copy.remove()
  }
  const words = `${chosen.length - survived} of ${chosen.length} mutants killed`
  process.stderr.write(survived === 0 ? `${words}\n` : `✗ ${words}: a guard that nobody misses wants a test\n`)
  return survived === 0 ? 0 : 1
}

function options(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', default: '' },
        list: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help === true) {
      process.stdout.write(`${usage}\n`)
      return undefined
    }
    const chosen = guards.filter(({ name, file }) => `${name} ${file}`.includes(values.only))
    if (chosen.length === 0) throw new RangeError(`--only: no guard has '${values.only}' in its name or file; --list names them`)
    return { chosen, list: values.list, json: values.json }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`)
    process.exitCode = 2
    return undefined
  }
}
