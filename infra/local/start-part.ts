import { StartInterrupted, type Part } from './part.ts'
import { seconds, type Report } from './progress.ts'

/** Starts a part and reports how long it takes. Rejects as the part does. */
export async function startPart(part: Part, report: Report): Promise<void> {
  const started = performance.now()
  const show = (): void => report({ key: part.name, state: 'running', text: `${part.name} starting, ${seconds(performance.now() - started)}` })
  show()
  const ticker = setInterval(show, 500)
  try {
    await part.start()
    report({ key: part.name, state: 'done', text: `${part.name} ready after ${seconds(performance.now() - started)}` })
  } catch (error) {
    if (!(error instanceof StartInterrupted)) report({ key: part.name, state: 'failed', text: `${part.name} did not start` })
    throw error
  } finally {
    clearInterval(ticker)
  }
}
