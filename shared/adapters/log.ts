import type { Fields, Log } from '../ports/log.ts'

export interface ConsoleLogOptions {
  /** Stands in every line: which function, which invocation. */
  readonly base?: Fields
  readonly now?: () => number
}

/** JSON lines on the console, which every runtime collects. The only place where the console is used. */
export function consoleLog({ base = {}, now = Date.now }: ConsoleLogOptions = {}): Log {
  const line = (level: string, event: string, fields: Fields | undefined) =>
    JSON.stringify({ at: new Date(now()).toISOString(), level, event, ...base, ...fields })
  return {
    info: (event, fields) => console.log(line('info', event, fields)),
    warn: (event, fields) => console.warn(line('warn', event, fields)),
    error: (event, fields) => console.error(line('error', event, fields)),
  }
}
