/** A record without the values that are somebody's: what stands in it by name, kind and size, as a diagnosis needs it. Pure. */

/** Headers of our own making; whatever else stands in one came from a stranger. */
const OWN_HEADER = /^(?:ce_(?:specversion|id|source|type|time|subject|sequence|claimedat|oversized)|traceparent|content-type|afluente_\w+)$/

export function maskedHeaders(headers: Readonly<Record<string, { toString(): string } | undefined>>): Readonly<Record<string, string>> {
  const shown = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, OWN_HEADER.test(name) ? value.toString() : textOf(value.toString())] as const],
  )
  return Object.fromEntries(shown)
}

/** `{"op":"insert","before":null,"after":{"name":"text of 3"}}` for a change; for any other object its members' kinds. */
export function maskedValue(value: string | null): unknown {
  if (value === null) return null
  const parsed = parse(value)
  if (!isObject(parsed)) return parsed === undefined ? `no JSON, ${value.length} characters` : kindOf(parsed)
  const { op } = parsed
  const isChange = typeof op === 'string' && /^[a-z]{1,20}$/.test(op)
  return Object.fromEntries(
    Object.entries(parsed).map(([name, member]) => [name, isChange && name === 'op' ? op : isChange && isObject(member) ? membersOf(member) : kindOf(member)]),
  )
}

function membersOf(image: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(image).map(([name, value]) => [name, kindOf(value)]))
}

/** What is shown of a value: its kind and size. */
export function kindOf(value: unknown): string | null {
  if (value === null) return null
  if (typeof value === 'string') return textOf(value)
  if (Array.isArray(value)) return `list of ${value.length}`
  return typeof value
}

function textOf(value: string): string {
  return `text of ${value.length}`
}

function parse(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text)
    return parsed
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
