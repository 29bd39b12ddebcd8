/** What a fault of Postgres, or of the way to it, means for the caller. By code, never by message. */
import { AfluenteError, type FaultKind, isAfluenteError } from '../../engine/errors.ts'

const POOLER = 'A pooler in between loses prepared statements: connect directly, in session mode, or through Hyperdrive.'

/** SQLSTATEs, the longest prefix first. Anything else, and whatever isn't from Postgres, is `unavailable`: retrying loses nothing. */
const KINDS: readonly (readonly [prefix: string, kind: FaultKind, advice?: string])[] = [
  ['26000', 'misconfigured', POOLER],
  ['42P05', 'misconfigured', POOLER],
  ['54000', 'refused'],
  ['54001', 'refused'],
  ['42P01', 'misconfigured', 'The analytics database lacks something that sql/ makes: run `npm run deploy`.'],
  ['42703', 'misconfigured', 'The analytics database lacks a column of the definition: run `npm run deploy`.'],
  ['42501', 'misconfigured', 'Grant the role of ANALYTICS_DATABASE_URL what it needs on the schemas ops, bronze and silver.'],
  ['3D', 'misconfigured', 'Check the database name in ANALYTICS_DATABASE_URL.'],
  ['3F', 'misconfigured', 'The analytics database lacks a schema that sql/ makes: run `npm run deploy`.'],
  ['28', 'misconfigured', 'Check the user and password in ANALYTICS_DATABASE_URL.'],
  ['42', 'misconfigured', 'The definition and the analytics database differ: run `npm run deploy`.'],
  ['21', 'refused'],
  ['22', 'refused'],
  ['23', 'refused'],
  ['44', 'refused'],
  ['P0', 'refused'],
]

/** The fault of a `pg` error. Its message never holds values of a row: quoted text of the data classes is masked, details are left out. */
export function faultOf(error: unknown): AfluenteError {
  if (isAfluenteError(error)) return new AfluenteError(error.kind, error.code, error.message, { cause: error })
  const code = codeOf(error)
  const state = sqlStateOf(error)
  if (state === undefined)
    return new AfluenteError(
      'unavailable',
      code,
      `No connection to the analytics database (${code}). Check that it runs and that ANALYTICS_DATABASE_URL leads to it.`,
      { cause: error },
    )
  const [, kind, advice] = KINDS.find(([prefix]) => state.startsWith(prefix)) ?? ['', 'unavailable' as const]
  return new AfluenteError(
    kind,
    state,
    [`Postgres: ${memberOf(error, 'routine') === RAISED ? OF_A_FUNCTION : masked(textOf(error), state)}${whereOf(error)}.`, advice]
      .filter((part) => part !== undefined)
      .join(' '),
    { cause: error },
  )
}

/** The routine behind PL/pgSQL's RAISE, which may take any SQLSTATE. */
const RAISED = 'exec_stmt_raise'
const OF_A_FUNCTION = 'a function or trigger of the database refused it, in words that are not shown since they may hold values'

/**
 * Quoted values become `"…"`. From the first quote to the last: a value may hold quotes itself. Names (of classes 23 and 42)
 * stay. Of class P0, whose words are somebody's own, nothing stays.
 */
export function masked(message: string, state: string): string {
  if (state.startsWith('P0')) return OF_A_FUNCTION
  const keyless = message.replace(/Key \(.*\)=\(.*\)/s, 'Key (…)=(…)')
  return /^(?:22|54)/.test(state) ? keyless.replace(/".*"/s, '"…"').replace(/'.*'/s, "'…'") : keyless
}

function whereOf(error: unknown): string {
  const column = memberOf(error, 'column')
  const constraint = memberOf(error, 'constraint')
  const table = memberOf(error, 'table')
  return `${table === undefined ? '' : ` (table ${table})`}${column === undefined ? '' : ` (column ${column})`}${constraint === undefined ? '' : ` (constraint ${constraint})`}`
}

/** Five capitals or digits beside a severity: only Postgres' own errors have both. */
function sqlStateOf(error: unknown): string | undefined {
  const code = memberOf(error, 'code')
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && memberOf(error, 'severity') !== undefined ? code : undefined
}

function codeOf(error: unknown): string {
  return memberOf(error, 'code') ?? 'connection'
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : 'unknown error').replace(/\.$/, '')
}

function memberOf(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}
