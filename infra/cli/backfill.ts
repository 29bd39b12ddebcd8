import type { Backfill, BackfillState, Steered, Steering } from '../../shared/ports/backfills.ts'
import { type Access, accessSettings, openAccess } from './access.ts'
import { readArguments, wholeNumber } from './arguments.ts'
import { beginBackfill, spanOf } from './backfill/begin.ts'
import { countsOf, listLine, selectionOf } from './backfill/words.ts'
import { shown, subjectOf, workOn } from './backfill/work.ts'
import { EXIT, type Exit, type Verb, type VerbContext, WrongUse } from './verb.ts'

const NEVER = new AbortController().signal

export const backfill: Verb = {
  summary: 'sends rows that are there once more, beside whoever writes them',
  usage: `npx afluente backfill TABLE [--where CONDITION] [--since 24h] [--limit N] [--rate R] [--json]
npx afluente backfill list [--json]
npx afluente backfill pause ID · resume ID [--rate R] · cancel ID   [--json]

Sends rows of a captured table through as reads, in the order of their keys: what they are now arrives everywhere, never over
something newer, and no writer fails or waits for longer than a moment.
  --where   a condition in SQL over the table's columns, asked under the role of SOURCE_DATABASE_URL, which only reads
  --since   rows whose updated_at (created_at, where that is null or missing) is not longer ago: 90m, 24h, 7d
  --limit   no more rows than that, in the order of their keys
  --rate    no more rows a second than that
Killed or interrupted, it goes on where it was when it is asked for again in the same words, or with resume. It waits while
much is on its way to Kafka, and for rows that somebody holds. Exit 0 when every row was sent, 1 when not, 2 for wrong use.`,
  async run(context) {
    const { positionals, values } = readArguments(context.args, {
      where: { type: 'string' },
      since: { type: 'string' },
      limit: { type: 'string' },
      rate: { type: 'string' },
      json: { type: 'boolean' },
    })
    const [first, second, ...more] = positionals
    if (first === undefined) throw new WrongUse('Which table?')
    const json = values.json === true
    const rate = wholeNumber('--rate', values.rate)
    if (isAction(first)) {
      if ([values.where, values.since, values.limit].some((value) => value !== undefined))
        throw new WrongUse(`${first} takes no selection: it was given when the backfill began`)
      if (first === 'list') {
        if (second !== undefined) throw new WrongUse(`list takes nothing; '${second}' is too much`)
        return using(context, (access) => list(access, json, context))
      }
      const id = wholeNumber(first, second)
      if (id === undefined || more.length > 0) throw new WrongUse(`Which backfill? ${first} takes the id of one.`)
      return using(context, (access) => steer(id, first, { json, rate }, access, context))
    }
    if (second !== undefined) throw new WrongUse(`One table at a time; '${second}' is too much`)
    const wanted = {
      table: first,
      condition: conditionOf(values.where),
      spanMs: spanOf('--since', values.since),
      limit: wholeNumber('--limit', values.limit) ?? null,
    }
    return using(context, async (access) => {
      const begun = await beginBackfill(wanted, access, json ? () => {} : context.out, context.seat?.signal ?? NEVER)
      if (!json && begun.state === 'running')
        context.out(begun.seen > 0 ? `${selectionOf(begun)}: goes on (${countsOf(begun)})` : `${selectionOf(begun)}: backfill ${begun.id}`)
      return workOn({ backfill: begun, rate, json }, access, context)
    })
  },
}

const ACTIONS = ['list', 'pause', 'resume', 'cancel'] as const
type Action = (typeof ACTIONS)[number]

function isAction(word: string): word is Action {
  return ACTIONS.some((action) => action === word)
}

function conditionOf(text: string | undefined): string | null {
  if (text === undefined) return null
  if (text.trim() === '') throw new WrongUse('--where: the condition is empty')
  return text.trim()
}

/** However it ends, what was opened is closed. */
export async function using(context: VerbContext, work: (access: Access) => Promise<Exit>): Promise<Exit> {
  const access = openAccess(accessSettings(context.env))
  try {
    return await work(access)
  } finally {
    await access.close()
  }
}

async function list(access: Access, json: boolean, { out, seat }: VerbContext): Promise<Exit> {
  const backfills = await access.backfills.list({ signal: seat?.signal ?? NEVER })
  if (json) out(JSON.stringify({ backfills: backfills.map(shown) }, null, 2))
  else if (backfills.length === 0) out('There is no backfill yet.')
  else for (const one of backfills) out(listLine(one))
  return EXIT.well
}

async function steer(
  id: number,
  action: Steering,
  how: { readonly json: boolean; readonly rate: number | undefined },
  access: Access,
  context: VerbContext,
): Promise<Exit> {
  const signal = context.seat?.signal ?? NEVER
  const known = (await access.backfills.list({ signal })).find((one) => one.id === id)
  if (known === undefined) throw unknown(id)
  if (!MAY[action].includes(known.state)) throw declined(known, action)
  await access.operations.audit({ actor: 'operator', action: `backfill.${action}`, subject: subjectOf(known) }, { signal })
  const present = steeredOf(id, action, await access.backfills.steer(id, action, { signal }))
  if (action === 'resume' && !present.worked) return workOn({ backfill: present, ...how }, access, context)
  if (how.json) context.out(JSON.stringify({ backfill: shown(present) }, null, 2))
  else context.out(`${selectionOf(present)}: ${WORDS[action]}; ${countsOf(present)}`)
  return EXIT.well
}

const WORDS: Readonly<Record<Steering, string>> = {
  pause: 'paused, and whoever works on it waits',
  resume: 'goes on with whoever works on it (was that killed, ask again in ten seconds)',
  cancel: 'cancelled',
}

function steeredOf(id: number, action: Steering, steered: Steered): Backfill {
  if (steered.status === 'unknown') throw unknown(id)
  const { backfill: present, status } = steered
  if (status === 'declined') throw declined(present, action)
  return present
}

const MAY: Readonly<Record<Steering, readonly BackfillState[]>> = {
  pause: ['running', 'paused'],
  resume: ['running', 'paused'],
  cancel: ['offered', 'running', 'paused', 'cancelled'],
}

function declined({ id, state, table }: Backfill, action: Steering): WrongUse {
  return new WrongUse(
    state === 'offered'
      ? `Backfill ${id} has not begun: npx afluente backfill ${table}`
      : `Backfill ${id} has ended (${state}): it can't be asked to ${action}`,
    { showsUsage: false },
  )
}

function unknown(id: number): WrongUse {
  return new WrongUse(`There is no backfill ${id}. npx afluente backfill list shows those there are.`, { showsUsage: false })
}
