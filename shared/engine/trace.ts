/** W3C trace context for work that nobody's request started. */

/** A new `traceparent`: version 00, random ids, sampled. `random` gives numbers from 0 up to but not 1. */
export function newTraceparent(random: () => number): string {
  return `00-${hex(32, random)}-${hex(16, random)}-01`
}

/** Hex digits, never all zero: the standard calls such an id invalid. */
function hex(digits: number, random: () => number): string {
  let text = ''
  while (text.length < digits)
    text += Math.floor(random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0')
  return /^0+$/.test(text) ? `${text.slice(1)}1` : text
}
