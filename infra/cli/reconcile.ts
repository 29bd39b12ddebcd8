import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Comparing } from '../../functions/comparing.ts'
import { type Comparable, comparables } from '../../shared/engine/reconcile-definition.ts'
import { isClean } from '../../shared/engine/reconcile-verdict.ts'
import { type ReconcileEnd, runReconcile } from '../../shared/engine/reconcile.ts'
import { pipeline } from '../../shared/pipeline.ts'
import { Fault } from '../local/fault.ts'
import { readArguments } from './arguments.ts'
import { comparingSettings, openComparing } from './reconcile/access.ts'
import { endLines, interrupted, progressLine } from './reconcile/words.ts'
import { EXIT, type Verb, type VerbContext, WrongUse } from './verb.ts'

const NEVER = new AbortController().signal
const PLAIN_LINE_MS = 10_000
/** Rows of ranges that differ are held in memory, so many at once; for each such part the source is read once more. */
const MOST = { rows: 400_000, parts: 1_000 } as const

export const reconcile: Verb = {
  summary: 'is the copy right? Compares source, silver and index, and repairs',
  usage: `npx afluente reconcile [TABLE] [--repair] [--json]

Compares every row of the source with silver by its content, and silver with the index by key and version: first by sums over ranges
of keys, made inside each database; then key by key where they differ. Whatever is written meanwhile is waited for, not reported.
  missing    the source has it, the sink has not
  different  other content in silver, another version in the index
  extra      the sink has it, the source has not
  --repair   sends such rows again, and deletes what the source has not, through the outbox; then waits, and looks again
Without a TABLE it goes through all of them, those first that are marked to be reconciled. Exit 0 when all is in step (or was mended), 1
when not, 2 for wrong use.`,
  async run(context) {
    const { positionals, values } = readArguments(context.args, { repair: { type: 'boolean' }, json: { type: 'boolean' } })
    const [written, second] = positionals
    if (second !== undefined) throw new WrongUse(`One table at a time, or all of them; '${second}' is too much`)
    const named = written === undefined ? comparables(pipeline) : [comparableOf(written)]
    const how = { repair: values.repair === true, json: values.json === true }
    const comparing = openComparing(comparingSettings(context.env, pipeline), pipeline)
    try {
      const ordered = await inOrder(named, comparing, context.seat?.signal ?? NEVER)
      const ends: Told[] = []
      for (const one of ordered) ends.push(await compare(one, how, comparing, context))
      if (how.json) context.out(JSON.stringify({ tables: ends }, null, 2))
      return ends.every(({ clean }) => clean) ? EXIT.well : EXIT.fault
    } finally {
      await comparing.close()
    }
  },
}

type Told = Readonly<Record<string, unknown>> & { readonly clean: boolean }

async function compare(
  one: Comparable,
  { json, repair }: { readonly json: boolean; readonly repair: boolean },
  comparing: Comparing,
  context: VerbContext,
): Promise<Told> {
  const { out, seat } = context
  const deps = comparing.depsFor(one)
  const { clock } = deps
  const beganAt = clock.now()
  let toldAt = beganAt
  let repairing = false
  const end = await runReconcile(
    {
      of: one,
      actor: 'operator',
      owner: `${hostname()} ${process.pid} ${randomUUID()}`,
      repair,
      anew: true,
      watched: true,
      untilMs: null,
      most: MOST,
      signal: seat?.signal ?? NEVER,
      onProgress: (...progress) => {
        if (seat?.moving !== undefined) seat.moving(progressLine(one.name, ...progress))
        else if (!json && clock.now() - toldAt >= PLAIN_LINE_MS) {
          toldAt = clock.now()
          out(progressLine(one.name, ...progress))
        }
      },
      onRepair: async (findings) => {
        repairing = true
        const details = { findings: findings.length }
        await comparing.operations.audit({ actor: 'operator', action: 'reconcile.repair', subject: one.name, details }, { signal: NEVER })
      },
    },
    deps,
  )
    .catch((error: unknown) => {
      throw interrupted(error, { of: one.name, repairing })
    })
    .finally(() => seat?.moving?.(null))
  const { found, outcome } = ended(end, one.name)
  const ms = clock.now() - beganAt
  if (!json) for (const line of endLines({ table: one.name, outcome, found, repaired: repair, ms })) out(line)
  return { table: one.name, clean: isClean(outcome), ms, repaired: repair, ...outcome, found }
}

function ended(end: ReconcileEnd, table: string) {
  if (end.ending === 'done') return end
  if (end.ending === 'refused') throw new Fault(`${table}: ${end.reason}`, 'Then reconcile again; nothing was done')
  throw new Fault(`Somebody else reconciles ${table}, and nothing was done here`, 'Should he be gone, it is free within two minutes')
}

function comparableOf(written: string): Comparable {
  const all = comparables(pipeline)
  const found = all.filter(({ name, table }) => name === written || table.name === written)
  const [one] = found
  if (one !== undefined && found.length === 1) return one
  throw new WrongUse(`No table with a copy in silver is called '${written}'. There are: ${all.map(({ name }) => name).join(', ')}. Nothing was done.`, {
    showsUsage: false,
  })
}

/** Those that the source has marked come first. */
async function inOrder(all: readonly Comparable[], { outbox }: Comparing, signal: AbortSignal): Promise<readonly Comparable[]> {
  const { refused, tables } = await outbox.backlog({ signal }).catch((error: unknown) => {
    throw interrupted(error, { of: 'The source can’t be asked', repairing: false })
  })
  if (refused !== null) throw new Fault(`Capture stands still: ${refused}`, 'Then reconcile again; nothing was done')
  const isMarked = ({ name }: Comparable) => tables.some(({ reconcileSince, table }) => table === name && reconcileSince !== null)
  return [...all.filter(isMarked), ...all.filter((one) => !isMarked(one))]
}
