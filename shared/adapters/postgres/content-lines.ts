/** Reads the lines that the statements of a comparison answer. */
export type Line = readonly unknown[]

export function linesOf(rows: readonly Readonly<Record<string, unknown>>[]): readonly Line[] {
  return rows.map((row) => {
    const value = parsed(row)
    const line: Line = Array.isArray(value) ? value : []
    return line
  })
}

export function textsOf(rows: readonly Readonly<Record<string, unknown>>[]): readonly string[] {
  return rows.map((row) => String(parsed(row)))
}

/** A 64-bit number or a sum of such, printed. */
export function bigintOf(value: unknown): bigint {
  return typeof value === 'string' ? BigInt(value) : 0n
}

function parsed(row: Readonly<Record<string, unknown>>): unknown {
  const { line } = row
  return typeof line === 'string' ? JSON.parse(line) : undefined
}
