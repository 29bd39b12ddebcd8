/** What one line may hold: ids, counts, codes and durations. Never row values, keys or secrets. */
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>

/** One structured line an outcome. `event` is stable and dotted: `capture.published`. */
export interface Log {
  info(event: string, fields?: Fields): void
  warn(event: string, fields?: Fields): void
  error(event: string, fields?: Fields): void
}
