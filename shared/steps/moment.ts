/** A time with its zone, as people and APIs write it: `2026-11-29T03:00:00Z`, with up to six digits of a second. */
const MOMENT = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[-+]\d\d(?::?\d\d)?)$/

/** Whether a text is one. What it means is left to the database: a Date cuts microseconds. */
export function isMoment(text: string): boolean {
  return MOMENT.test(text) && !Number.isNaN(Date.parse(text.replace(' ', 'T').replace(/([-+]\d\d)$/, '$1:00')))
}
