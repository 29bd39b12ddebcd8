/** When a pg_cron job is due. Pure: the time is an argument. UTC, as pg_cron's default. */
export type Schedule =
  | { readonly kind: 'interval'; readonly everyMs: number }
  | { readonly kind: 'fields'; readonly fields: readonly ReadonlySet<number>[]; readonly dayRule: 'both' | 'either' }

const ranges = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const

/** `'<n> seconds'` (1–59) or five fields of `*`, numbers, lists, ranges and steps. Undefined when it is neither. */
export function parseSchedule(text: string): Schedule | undefined {
  const seconds = /^\s*(\d{1,2})\s+seconds?\s*$/i.exec(text)?.[1]
  if (seconds !== undefined) return Number(seconds) >= 1 && Number(seconds) <= 59 ? { kind: 'interval', everyMs: Number(seconds) * 1000 } : undefined
  const parts = text.trim().split(/\s+/)
  if (parts.length !== ranges.length) return undefined
  const fields: ReadonlySet<number>[] = []
  for (const [index, [low, high]] of ranges.entries()) {
    const field = parseField(parts[index] ?? '', low, high)
    if (field === undefined) return undefined
    fields.push(field)
  }
  // Sunday is 0 and 7. With both days given, either will do: that is cron's old rule.
  const weekdays = fields[4]
  if (weekdays?.has(7) === true) fields[4] = new Set([...weekdays, 0])
  return { kind: 'fields', fields, dayRule: parts[2]?.startsWith('*') === false && parts[4]?.startsWith('*') === false ? 'either' : 'both' }
}

function parseField(text: string, low: number, high: number): ReadonlySet<number> | undefined {
  const values = new Set<number>()
  for (const item of text.split(',')) {
    const [, range = '', step] = /^(\*|\d+(?:-\d+)?)(?:\/(\d+))?$/.exec(item) ?? []
    if (range === '') return undefined
    const [from = low, to = step === undefined ? from : high] = range === '*' ? [low, high] : range.split('-').map(Number)
    const by = Number(step ?? 1)
    if (from < low || to > high || from > to || by < 1) return undefined
    for (let value = from; value <= to; value += by) values.add(value)
  }
  return values
}

/** A timer of one second is late or early by a little; without this a job of 5 seconds would run every 6. */
const jitterMs = 100

/** Whether the job should start now, given when it last started (undefined: never). */
export function isDue(schedule: Schedule, nowMs: number, lastStartMs: number | undefined): boolean {
  if (schedule.kind === 'interval') return lastStartMs === undefined || nowMs - lastStartMs >= schedule.everyMs - jitterMs
  if (lastStartMs !== undefined && Math.floor(lastStartMs / 60_000) === Math.floor(nowMs / 60_000)) return false
  const now = new Date(nowMs)
  const [minute, hour, day, month, weekday] = schedule.fields
  const dayFits = day?.has(now.getUTCDate()) === true
  const weekdayFits = weekday?.has(now.getUTCDay()) === true
  return (
    minute?.has(now.getUTCMinutes()) === true &&
    hour?.has(now.getUTCHours()) === true &&
    month?.has(now.getUTCMonth() + 1) === true &&
    (schedule.dayRule === 'either' ? dayFits || weekdayFits : dayFits && weekdayFits)
  )
}
