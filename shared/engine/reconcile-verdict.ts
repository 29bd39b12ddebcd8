import type { Outcome } from '../ports/reconciliations.ts'

/** `0 missing, 0 different, 0 extra of 1 000 000, as of 12:03:11`; the day too where a reader may take it for another. What was mended is so since a moment later. */
export function verdictText({ asOf, mended, moving, rows, sinks, unopened }: Outcome, nowMs?: number): string {
  const sum = (what: 'missing' | 'different' | 'extra') => grouped(sinks.reduce((total, sink) => total + sink[what], 0))
  const isToday = nowMs === undefined || new Date(nowMs).toISOString().slice(0, 10) === asOf.slice(0, 10)
  return [
    `${unopened > 0 ? 'at least ' : ''}${sum('missing')} missing, ${sum('different')} different, ${sum('extra')} extra of ${grouped(rows)}`,
    ...(moving === 0 ? [] : [`${grouped(moving)} written too often to be judged`]),
    `as of ${isToday ? '' : `${asOf.slice(0, 10)} `}${asOf.slice(11, 19)}`,
    ...(mended === 0 ? [] : [`${grouped(mended)} of them mended since`]),
  ].join(', ')
}

/** All that was looked at is in step, and nothing was left out. */
export function isClean({ sinks, unopened }: Outcome): boolean {
  return unopened === 0 && sinks.every(({ different, extra, missing }) => missing + different + extra === 0)
}

function grouped(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ' ')
}
