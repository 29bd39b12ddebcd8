import { createScreen } from '../local/terminal.ts'
import type { Seat } from './verb.ts'

/** This process's terminal. The first Ctrl-C asks to end well, the second ends at once (npm passes the first on: it counts once). */
export function terminalSeat(of: NodeJS.Process): Seat {
  const ending = new AbortController()
  let since = 0
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    of.on(signal, () => {
      if (ending.signal.aborted && Date.now() - since > 500) of.exit(130)
      since = Date.now()
      ending.abort()
    })
  const { stderr } = of
  const screen = createScreen({ write: (text) => stderr.write(text), terminal: stderr.isTTY, width: () => stderr.columns })
  return { signal: ending.signal, moving: stderr.isTTY ? (text) => (text === null ? screen.clear() : screen.status(text)) : undefined }
}
