/** One JSON object a line on standard error; standard output carries the ready line alone. Never row values, never secrets. */
export type Log = (event: string, fields?: Readonly<Record<string, unknown>>) => void

export const log: Log = (event, fields = {}) => {
  process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), part: 'supabase', event, ...fields })}\n`)
}

/** What went wrong as one line, with its SQLSTATE or system code where there is one. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = codeOf(error)
  const text = error.message === '' && error instanceof AggregateError ? error.errors.map(reasonOf).join('; ') : error.message
  return code === undefined || text.includes(code) ? text : `${code}: ${text}`
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
