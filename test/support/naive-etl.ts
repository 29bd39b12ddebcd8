/** The plain way, as the nightly job of many teams has it: rows with `updated_at` above the last one seen, a page at a time. For showing what it loses. */
import type pg from 'pg'

export interface NaiveEtl {
  /** Reads until a page is not full; upserts; remembers the last time that it saw, as a JavaScript Date has it: its session's wall clock, taken for UTC. */
  run(): Promise<void>
  /** What it has: id → name. */
  readonly copy: ReadonlyMap<string, string | null>
}

/** `onPage` is called between two pages. */
export function naiveEtl(source: pg.Client, { pageRows = 10, onPage = async () => {} }: { pageRows?: number; onPage?: () => Promise<void> } = {}): NaiveEtl {
  const copy = new Map<string, string | null>()
  let watermark = new Date(0)
  return {
    copy,
    run: async () => {
      for (;;) {
        const { rows } = await source.query<{ id: string; name: string | null; updated_at: string }>(
          `select id, name, to_char(updated_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as updated_at from items where updated_at > $1::timestamptz order by updated_at limit ${pageRows}`,
          [watermark.toISOString()],
        )
        for (const { id, name } of rows) copy.set(id, name)
        const last = rows.at(-1)
        // A Date keeps milliseconds; rounding up is what keeps such a job from reading its last row for ever.
        if (last !== undefined) watermark = new Date(Date.parse(last.updated_at) + 1)
        if (rows.length < pageRows) return
        await onPage()
      }
    },
  }
}
