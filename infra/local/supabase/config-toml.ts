/**
 * The part of supabase/config.toml that the stand-ins obey. Pure text → data, so that Node and Deno share it.
 * It reads the TOML that file is written in (tables, strings, numbers, booleans, arrays of strings) and throws on
 * a value it can't read rather than guess: a guess here would be a check that the cloud makes and we don't.
 */
export interface SupabaseConfig {
  readonly api: {
    readonly schemas: readonly string[]
    /** Rows in one answer at most. */
    readonly maxRows: number
  }
  readonly functions: Readonly<Record<string, FunctionConfig>>
}

export interface FunctionConfig {
  /** The gateway refuses calls without a valid JWT. On unless the file turns it off, as in the cloud. */
  readonly verifyJwt: boolean
  /** As written in the file: relative to the folder that holds config.toml. */
  readonly entrypoint: string | undefined
}

type Value = string | number | boolean | readonly string[]

export function parseSupabaseConfig(text: string): SupabaseConfig {
  const tables = parseTables(text)
  const api = tables.get('api') ?? new Map<string, Value>()
  const functions: Record<string, FunctionConfig> = {}
  for (const [table, values] of tables) {
    const name = /^functions\.([A-Za-z][A-Za-z0-9_-]*)$/.exec(table)?.[1]
    if (name === undefined) continue
    functions[name] = {
      verifyJwt: expectType(values.get('verify_jwt'), 'boolean', table, 'verify_jwt') ?? true,
      entrypoint: expectType(values.get('entrypoint'), 'string', table, 'entrypoint'),
    }
  }
  const schemas = api.get('schemas') ?? ['public']
  if (!Array.isArray(schemas)) throw new Error('supabase/config.toml: [api] schemas must be an array of strings, such as ["public", "afluente"].')
  return { api: { schemas, maxRows: expectType(api.get('max_rows'), 'number', 'api', 'max_rows') ?? 1000 }, functions }
}

function parseTables(text: string): Map<string, Map<string, Value>> {
  const tables = new Map<string, Map<string, Value>>()
  let table = ''
  // Arrays over several lines are joined first: the rest is then one line a value.
  const joined = text.replace(/=\s*\[[^\]]*\]/g, (array) => array.replace(/#[^\n]*/g, '').replace(/\n/g, ' '))
  for (const [index, line] of joined.split('\n').entries()) {
    const bare = withoutComment(line).trim()
    if (bare === '') continue
    const header = /^\[\[?\s*([^\]]+?)\s*\]\]?$/.exec(bare)?.[1]
    if (header !== undefined) {
      table = header.replaceAll('"', '')
      // A function that is named and left at the defaults is there all the same.
      tables.set(table, tables.get(table) ?? new Map<string, Value>())
      continue
    }
    const [, key, raw] = /^"?([A-Za-z0-9_.-]+)"?\s*=\s*(.+)$/.exec(bare) ?? []
    // Tables of other services may hold what this reader doesn't know; they are not its business.
    if (!/^(api|functions\..+)$/.test(table)) continue
    if (key === undefined || raw === undefined) throw new Error(`supabase/config.toml, line ${index + 1}: can't be read: ${bare}`)
    const values = tables.get(table) ?? new Map<string, Value>()
    values.set(key, parseValue(raw, index + 1))
    tables.set(table, values)
  }
  return tables
}

function withoutComment(line: string): string {
  return /^((?:"(?:[^"\\]|\\.)*"|'[^']*'|[^#"'])*)/.exec(line)?.[1] ?? line
}

function parseValue(raw: string, line: number): Value {
  if (raw === 'true' || raw === 'false') return raw === 'true'
  if (/^[+-]?\d[\d_]*$/.test(raw)) return Number(raw.replaceAll('_', ''))
  if (/^'[^']*'$/.test(raw)) return raw.slice(1, -1)
  if (/^"(?:[^"\\]|\\.)*"$/.test(raw)) return String(JSON.parse(raw))
  if (raw.startsWith('[') && raw.endsWith(']')) {
    const items = [...raw.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'/g)]
    if (/[^\s,]/.test(raw.slice(1, -1).replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '')))
      throw new Error(`supabase/config.toml, line ${line}: only arrays of strings can be read here: ${raw}`)
    return items.map((item) => item[1] ?? item[2] ?? '')
  }
  throw new Error(`supabase/config.toml, line ${line}: this value can't be read here: ${raw}`)
}

function expectType(value: Value | undefined, type: 'string', table: string, key: string): string | undefined
function expectType(value: Value | undefined, type: 'number', table: string, key: string): number | undefined
function expectType(value: Value | undefined, type: 'boolean', table: string, key: string): boolean | undefined
function expectType(value: Value | undefined, type: string, table: string, key: string): Value | undefined {
  if (value !== undefined && typeof value !== type) throw new Error(`supabase/config.toml: [${table}] ${key} must be a ${type}.`)
  return value
}
