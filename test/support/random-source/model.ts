/** What a sink makes of the log: the highest version of each key wins, and a floor ends all below it. Compared with the tables. */
import type { LoggedEvent } from './readers.ts'
import { plain, SECRET, type Table } from './schema.ts'
import type { Session } from '../source.ts'

/** Throws with what differs. */
export async function compare(
  session: Session,
  tables: readonly Table[],
  log: ReadonlyMap<number, LoggedEvent>,
  committed: ReadonlySet<string>,
): Promise<void> {
  const events = [...log.values()]
  for (const table of tables) {
    const own = events.filter((event) => event.table === table.plainName)
    for (const event of own) checkEvent(event, table, committed)
    checkEnd(replay(own), await present(session, table), table)
  }
}

function replay(events: readonly LoggedEvent[]): ReadonlyMap<string, LoggedEvent> {
  const floor = Math.max(0, ...events.filter(({ op }) => op === 'truncate').map(({ version }) => version))
  const last = new Map<string, LoggedEvent>()
  for (const event of events) {
    if (event.op !== 'truncate' && event.version > (last.get(event.key)?.version ?? floor)) last.set(event.key, event)
  }
  return new Map([...last].filter(([, event]) => event.op !== 'delete'))
}

/** The table as its keys and images, by Postgres' own hand and not by the product's. */
async function present(session: Session, table: Table): Promise<ReadonlyMap<string, string>> {
  const names = await session.run(
    `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
    [table.name],
  )
  const hidden = table.secret === undefined ? undefined : plain(table.secret)
  const columns = names.map(({ name }) => name ?? '').filter((name) => name !== hidden)
  const keys = table.keys.map((key) => `t.${key.name}`).join(', ')
  const shown = columns.map((name) => `t."${name.replaceAll('"', '""')}"`).join(', ')
  const rows = await session.run(
    `select jsonb_build_array(${keys})::text as key, (select row_to_json(x) from (select ${shown}) x)::text as image from ${table.name} t`,
  )
  return new Map(rows.map(({ key, image }) => [key ?? '', image ?? '']))
}

function checkEnd(read: ReadonlyMap<string, LoggedEvent>, there: ReadonlyMap<string, string>, table: Table): void {
  for (const [key, image] of there) {
    const event = read.get(key)
    if (event === undefined) throw new Error(`${table.name}: the row ${key} is in the table and not in the stream: ${image}`)
    if (event.after !== image) throw new Error(`${table.name}: the stream ends with ${JSON.stringify(event)}, the table has ${image}`)
  }
  for (const [key, event] of read) {
    if (!there.has(key)) throw new Error(`${table.name}: the row ${key} is in the stream and not in the table: ${JSON.stringify(event)}`)
  }
}

function checkEvent(event: LoggedEvent, table: Table, committed: ReadonlySet<string>): void {
  const { op, before, after } = event
  const wrong = (what: string) => new Error(`${what}: ${JSON.stringify(event)}`)
  if (op === 'truncate') {
    if (event.key !== '[]' || before !== null || after !== null) throw wrong('A floor that is no floor')
    return
  }
  const shape = `${before === null ? '' : 'before '}${after === null ? '' : 'after'}`
  const shapes: Record<string, string> = { insert: 'after', update: table.withBefore ? 'before after' : 'after', delete: 'before ' }
  // Of many rows in a partition that is truncated alone, the keys are enough.
  const keyAlone = op === 'delete' && shape === '' && table.partitions.length > 0
  if (shapes[op] !== shape && !keyAlone) throw wrong(`A ${op} with ${shape === '' ? 'no image' : shape}`)
  for (const image of [before, after]) {
    if (image === null) continue
    const stamp = String((JSON.parse(image) as { stamp: unknown }).stamp)
    if (!committed.has(stamp)) throw wrong(`What was never committed (${stamp})`)
    if (image.includes(SECRET)) throw wrong('An excluded column left the database')
    if (table.secret !== undefined && Object.hasOwn(JSON.parse(image) as object, plain(table.secret))) throw wrong('An excluded column is named')
  }
}
