/** `npm run mutants`. Exit 0 when each guard is missed by some test, 1 when one is not, 2 wrong use. One JSON object a guard with --json, words otherwise. */
import { parseArgs } from 'node:util'
import type { Guard } from './guard.ts'
import { guards } from './guards.ts'
import { type Copy, copyOf } from './sabotage.ts'
import { startServers } from './servers.ts'

const usage = `npm run mutants -- [--only TEXT] [--jobs 2] [--list] [--json]

Takes out each guard that the promises rest on, one at a time, in a copy of the project, and runs the tests that must notice.
First each of those tests has to pass with nothing taken out.
  --only TEXT   the guards whose name or file has this text
  --jobs N      so many at the same time
  --list        their names, and nothing is run`

const wanted = options()
process.exitCode = wanted === undefined ? process.exitCode : await hunt(wanted)

interface Options {
  readonly chosen: readonly Guard[]
  readonly jobs: number
  readonly list: boolean
  readonly json: boolean
}

async function hunt(wanted: Options): Promise<number> {
  const { chosen, jobs, list } = wanted
  if (list) {
    for (const { name, file } of chosen) process.stdout.write(`${name}  (${file})\n`)
    return 0
  }
  const began = performance.now()
  const servers = await startServers(chosen)
  const copies: Copy[] = []
  try {
    for (let job = 0; job < Math.min(jobs, chosen.length); job += 1) copies.push(await copyOf(process.cwd(), servers.env))
    await mustPass(chosen, copies)
    const survived = await takeOut(wanted, copies)
    const words = `${chosen.length - survived} of ${chosen.length} mutants killed in ${((performance.now() - began) / 1_000).toFixed(0)} s`
    process.stderr.write(survived === 0 ? `${words}\n` : `✗ ${words}: a guard that nobody misses wants a test\n`)
    return survived === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`✗ ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    for (const copy of copies) copy.remove()
    await servers.stop()
  }
}

/** Every test that is to notice something, with nothing taken out. Throws with the first that fails. */
async function mustPass(chosen: readonly Guard[], copies: readonly Copy[]): Promise<void> {
  const suites = [...Map.groupBy(chosen, ({ tests: [project] }) => project)].map(([project, guards]) => ({
    project,
    files: [...new Set(guards.flatMap(({ tests: [, ...files] }) => files))],
  }))
  const waiting = suites.toSorted((a, b) => b.files.length - a.files.length)
  await Promise.all(
    copies.map(async (copy) => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        process.stderr.write(`  ${next.project}: ${next.files.length} files or folders of tests, with nothing taken out\n`)
        // Once more where a busy machine made one fail: what fails twice is broken.
        const broken = (await copy.failing(next.project, next.files)).length > 0
        const [first] = broken ? await copy.failing(next.project, next.files) : []
        if (first !== undefined) throw new Error(`With nothing taken out, '${first.test}' fails: ${first.reason} Mend that first.`)
      }
    }),
  )
}

/** How many nobody noticed. */
async function takeOut({ chosen, json }: Options, copies: readonly Copy[]): Promise<number> {
  const waiting = [...chosen]
  let done = 0
  let survived = 0
  const one = async (guard: Guard, copy: Copy): Promise<void> => {
    const began = performance.now()
    const [first] = await copy.failingWithout(guard)
    done += 1
    if (first === undefined) survived += 1
    const seconds = Number(((performance.now() - began) / 1_000).toFixed(1))
    const told = { guard: guard.name, file: guard.file, killed: first !== undefined, by: first?.test ?? null, seconds }
    const words = `[${done}/${chosen.length}] ${first === undefined ? '✗ NOBODY NOTICED:' : '✓'} ${guard.name} (${seconds} s)${first === undefined ? '' : `\n        by: ${first.test}`}`
    process.stdout.write(`${json ? JSON.stringify(told) : words}\n`)
  }
  await Promise.all(
    copies.map(async (copy) => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await one(next, copy)
    }),
  )
  return survived
}

function options(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', default: '' },
        jobs: { type: 'string', default: '2' },
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
    const jobs = Number(values.jobs)
    if (!Number.isInteger(jobs) || jobs < 1 || jobs > 16) throw new RangeError(`--jobs: '${values.jobs}' is no whole number from 1 to 16`)
    return { chosen, jobs, list: values.list, json: values.json }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`)
    process.exitCode = 2
    return undefined
  }
}
