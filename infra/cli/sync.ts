import type { SourceRow } from '../../shared/ports/source-rows.ts'
import { readArguments, wholeNumber } from './arguments.ts'
import { using } from './backfill.ts'
import { beginBackfill } from './backfill/begin.ts'
import { count } from './backfill/words.ts'
import { workOn } from './backfill/work.ts'
import { type Verb, WrongUse } from './verb.ts'

const HOUR_MS = 3_600_000
const NEVER = new AbortController().signal

export const sync: Verb = {
  summary: 'sends the rows of the last hours once more, and counts them',
  usage: `npx afluente sync TABLE [--hours 24] [--limit 1000] [--rate R] [--json]

The short form of npx afluente backfill TABLE --since 24h --limit 1000, with what it found: how many rows it saw and sent, by their
status (where there is such a column) and by the day of their last change. Exit 0 when every row was sent, 1 when not, 2 for wrong use.`,
  async run(context) {
    const { positionals, values } = readArguments(context.args, {
      hours: { type: 'string', default: '24' },
      limit: { type: 'string', default: '1000' },
      rate: { type: 'string' },
      json: { type: 'boolean' },
    })
    const [table, second] = positionals
    if (table === undefined) throw new WrongUse('Which table?')
    if (second !== undefined) throw new WrongUse(`One table at a time; '${second}' is too much`)
    const hours = wholeNumber('--hours', values.hours) ?? 24
    const limit = wholeNumber('--limit', values.limit) ?? 1_000
    const rate = wholeNumber('--rate', values.rate)
    return using(context, async (access) => {
      const begun = await beginBackfill(
        { table, condition: null, spanMs: hours * HOUR_MS, limit },
        access,
        values.json === true ? () => {} : context.out,
        context.seat?.signal ?? NEVER,
      )
      const tally = createTally()
      return workOn({ backfill: begun, rate, json: values.json === true, onRow: tally.add, atEnd: tally.end }, access, context)
    })
  },
}

/** Counts rows by status and by day. */
function createTally() {
  const byStatus = new Map<string, number>()
  const byDay = new Map<string, number>()
  const raise = (counts: Map<string, number>, name: string | null) => {
    if (name !== null) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const line = (title: string, counts: readonly (readonly [string, number])[]) =>
    counts.length === 0 ? [] : [`  ${title} ${counts.map(([name, rows]) => `${name} ${count(rows)}`).join(' · ')}`]
  return {
    add: ({ day, status }: SourceRow) => {
      raise(byStatus, status)
      raise(byDay, day)
    },
    end: () => {
      const statuses = [...byStatus].toSorted(([a, rows], [b, others]) => others - rows || (a < b ? -1 : 1))
      const days = [...byDay].toSorted(([a], [b]) => (a < b ? -1 : 1))
      return {
        lines: [...line('by status', statuses), ...line('by day   ', days)],
        json: { byStatus: Object.fromEntries(statuses), byDay: Object.fromEntries(days) },
      }
    },
  }
}
