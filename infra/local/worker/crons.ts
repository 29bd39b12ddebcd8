/** Which moments a cron text names, for the local clock that Cloudflare's would be. UTC, as there. */

const fields = [
  { from: 0, to: 59, of: (at: Date) => at.getUTCMinutes() },
  { from: 0, to: 23, of: (at: Date) => at.getUTCHours() },
  { from: 1, to: 31, of: (at: Date) => at.getUTCDate() },
  { from: 1, to: 12, of: (at: Date) => at.getUTCMonth() + 1 },
  // Cloudflare counts Sunday as 1, unlike crontab's 0.
  { from: 1, to: 7, of: (at: Date) => at.getUTCDay() + 1 },
] as const

/**
 * Whether a five-field cron text (numbers, lists, ranges, steps, `*`) names the minute of `at`.
 * @throws Error for a text that isn't one; names of months and days are not read here.
 */
export function fires(cron: string, at: Date): boolean {
  const parts = cron.trim().split(/\s+/)
  if (parts.length !== fields.length) throw new Error(`cron "${cron}" has ${parts.length} fields, not ${fields.length}`)
  return fields.every((field, index) => (parts[index] ?? '').split(',').some((item) => holds(item, field.of(at), field, cron)))
}

function holds(item: string, value: number, { from, to }: { from: number; to: number }, cron: string): boolean {
  const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(item)
  if (match === null) throw new Error(`cron "${cron}": can't read "${item}"`)
  const [, first, last, step] = match
  const start = first === undefined ? from : Number(first)
  const end = last === undefined ? (first === undefined || step !== undefined ? to : start) : Number(last)
  return value >= start && value <= end && (value - start) % Number(step ?? 1) === 0
}
