/** Keeps log lines, so that a test can look at what was said. */
import type { Fields, Log } from '../../ports/log.ts'

export interface Line {
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  readonly fields: Fields
}

export function memoryLines(): Log & { readonly lines: readonly Line[] } {
  const lines: Line[] = []
  const at =
    (level: Line['level']) =>
    (event: string, fields: Fields = {}) => {
      lines.push({ level, event, fields })
    }
  return { lines, info: at('info'), warn: at('warn'), error: at('error') }
}
