/**
 * JSON as text: finds where values begin and end without reading what they hold, so that numbers beyond 2^53,
 * key order and duplicate keys stay as Postgres wrote them.
 */

const SPACE = /[ \t\n\r]*/y
const SCALAR = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c

/** The members of a JSON object as texts, in order, the last one winning where a name stands twice. Null when the text is not one object. */
export function membersOf(text: string): ReadonlyMap<string, string> | null {
  const members = new Map<string, string>()
  let at = skipSpace(text, 0)
  if (text[at] !== '{') return null
  at = skipSpace(text, at + 1)
  if (text[at] === '}') return skipSpace(text, at + 1) === text.length ? members : null
  for (;;) {
    const nameEnd = text[at] === '"' ? endOfString(text, at) : -1
    if (nameEnd < 0) return null
    const colon = skipSpace(text, nameEnd)
    if (text[colon] !== ':') return null
    const begin = skipSpace(text, colon + 1)
    const end = endOfValue(text, begin)
    if (end < 0) return null
    const name = stringOf(text.slice(at, nameEnd))
    if (name === null) return null
    members.set(name, text.slice(begin, end))
    at = skipSpace(text, end)
    if (text[at] === '}') return skipSpace(text, at + 1) === text.length ? members : null
    if (text[at] !== ',') return null
    at = skipSpace(text, at + 1)
  }
}

/** The elements of a JSON array as texts, in order. Null when the text is not one array. */
export function elementsOf(text: string): readonly string[] | null {
  const elements: string[] = []
  let at = skipSpace(text, 0)
  if (text[at] !== '[') return null
  at = skipSpace(text, at + 1)
  if (text[at] === ']') return skipSpace(text, at + 1) === text.length ? elements : null
  for (;;) {
    const end = endOfValue(text, at)
    if (end < 0 || (text[at] === '"' && stringOf(text.slice(at, end)) === null)) return null
    elements.push(text.slice(at, end))
    at = skipSpace(text, end)
    if (text[at] === ']') return skipSpace(text, at + 1) === text.length ? elements : null
    if (text[at] !== ',') return null
    at = skipSpace(text, at + 1)
  }
}

/**
 * True when the text is an object of exactly these members in this order, printed as `row_to_json` prints it. `names` are the members'
 * beginnings (`"id":`). Exact: a name within a nested value or a string is not taken for a member. Costs a fraction of `membersOf`. False
 * says only that the text has to be read.
 */
export function hasMembers(text: string, names: readonly string[]): boolean {
  if (!text.startsWith('{') || names.length === 0) return false
  let at = 1
  for (const [index, name] of names.entries()) {
    if (index > 0 && text.charCodeAt(at++) !== COMMA) return false
    if (!text.startsWith(name, at)) return false
    at = endOfPrinted(text, at + name.length)
    if (at < 0) return false
  }
  return at === text.length - 1 && text.endsWith('}')
}

/** How `row_to_json` begins a member. */
export function beginningOf(name: string): string {
  return `${JSON.stringify(name)}:`
}

/** One line of JSON: raw line breaks in JSON stand only between values, where a space means the same. */
export function onOneLine(json: string): string {
  return json.includes('\n') || json.includes('\r') ? json.replace(/[\n\r]/g, ' ') : json
}

/** As `endOfValue`, where nothing but `,` or `}` follows a number or a word. */
function endOfPrinted(text: string, at: number): number {
  const first = text.charCodeAt(at)
  if (first === QUOTE) return endOfString(text, at)
  if (first === 0x7b || first === 0x5b) return endOfNested(text, at)
  for (let here = at; here < text.length; here += 1) {
    const unit = text.charCodeAt(here)
    if (unit === COMMA || unit === 0x7d) return here
  }
  return -1
}

/** The index after the value that begins at `at`, or -1. */
function endOfValue(text: string, at: number): number {
  const first = text[at]
  if (first === '"') return endOfString(text, at)
  if (first === '{' || first === '[') return endOfNested(text, at)
  SCALAR.lastIndex = at
  return SCALAR.test(text) ? SCALAR.lastIndex : -1
}

/** The index after the object or array that begins at `at`, or -1. Brackets are counted, not matched by kind: the sink's parser is the judge of that. */
export function endOfNested(text: string, at: number): number {
  let depth = 0
  for (let here = at; here < text.length; here += 1) {
    const unit = text.charCodeAt(here)
    if (unit === QUOTE) {
      const end = endOfString(text, here)
      if (end < 0) return -1
      here = end - 1
    } else if (unit === 0x7b || unit === 0x5b) depth += 1
    else if ((unit === 0x7d || unit === 0x5d) && --depth === 0) return here + 1
  }
  return -1
}

function endOfString(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return quote + 1
  }
  return -1
}

function skipSpace(text: string, at: number): number {
  SPACE.lastIndex = at
  SPACE.test(text)
  return SPACE.lastIndex
}

function stringOf(json: string): string | null {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}
