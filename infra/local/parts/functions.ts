import { join } from 'node:path'
import { repository } from '../home.ts'
import type { Recipe } from '../part.ts'
import { assertFree, type PortName } from '../ports.ts'

export interface FunctionPartOptions {
  readonly name: PortName
  readonly port: number
  readonly file: string
  readonly args: readonly string[]
  /** Everything the process sees, asked at each start; PORT is added. */
  readonly env: () => NodeJS.ProcessEnv
  /** Runs before each start, such as the Worker's bundling. */
  readonly before?: () => Promise<void>
  /** Where it answers 200 when ready; `/_health` on its port when not given. */
  readonly health?: string
}

/** A process of ours that serves `GET /_health` on PORT and stops within 3 s of SIGTERM. */
export function functionRecipe(options: FunctionPartOptions): Recipe {
  return {
    name: options.name,
    before: async () => {
      await assertFree(options.name, options.port)
      await options.before?.()
    },
    command: () => ({ file: options.file, args: options.args, env: { ...options.env(), PORT: String(options.port) }, cwd: repository }),
    ready: async () => {
      const response = await fetch(options.health ?? `http://127.0.0.1:${options.port}/_health`, { signal: AbortSignal.timeout(2_000) })
      await response.arrayBuffer()
      return response.ok
    },
    readyWithinMs: 60_000,
    stopSignal: 'SIGTERM',
    stopWithinMs: 4_000,
  }
}

/** Node 24 and Deno as npm brought them, whatever the machine has. */
export const node = join(repository, 'node_modules/.bin/node')
export const deno = join(repository, 'node_modules/.bin/deno')
