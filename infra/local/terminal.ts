import type { Report } from './progress.ts'

/** What is shown while the stack starts: moving lines on a terminal, plain ones elsewhere. */
export interface Screen {
  readonly report: Report
  /** A line of its own, below what stands. */
  line(text: string): void
  /** The last line, written over each time. Nothing where there is no terminal. */
  status(text: string): void
  /** Takes away what moves. */
  clear(): void
}

export interface ScreenDeps {
  readonly write: (text: string) => void
  readonly terminal: boolean
  readonly width: () => number
}

const signs = { running: '·', done: '✓', failed: '✗', note: ' ', gone: ' ' } as const

/** Keeps one block of running lines at the bottom; finished lines move above it and stay. */
export function createScreen(deps: ScreenDeps): Screen {
  const running = new Map<string, string>()
  let shown = 0
  const erase = (): void => {
    if (deps.terminal && shown > 0) deps.write(`\u001B[${shown}A\u001B[J`)
    shown = 0
  }
  const draw = (): void => {
    if (!deps.terminal) return
    const lines = [...running.values()]
    for (const text of lines) deps.write(`${text.slice(0, Math.max(deps.width(), 40) - 1)}\n`)
    shown = lines.length
  }
  const line = (text: string): void => {
    erase()
    deps.write(`${text}\n`)
    draw()
  }
  return {
    report: ({ key, state, text }) => {
      const full = `  ${signs[state]} ${text}`
      if (state === 'running') {
        if (!deps.terminal) return
        erase()
        running.set(key, full)
        return draw()
      }
      running.delete(key)
      if (state === 'gone') {
        erase()
        return draw()
      }
      line(full)
    },
    line,
    clear: () => {
      erase()
      running.clear()
    },
    status: (text) => {
      erase()
      running.clear()
      running.set('status', `  ${text}`)
      draw()
    },
  }
}
