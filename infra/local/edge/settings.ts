/** Environment and supabase/config.toml → settings of the host. Every fault at once, by name. */
import { pathToFileURL } from 'node:url'
import { parseSupabaseConfig } from '../supabase/config-toml.ts'

export interface Limits {
  /** Of the isolate's own thread, over its whole life. */
  readonly cpuMs: number
  /** From an isolate's first request. */
  readonly wallMs: number
  readonly memoryMb: number
  /** An isolate with nothing to do is dropped after this. */
  readonly idleMs: number
}

export interface Settings {
  readonly port: number
  /** Function name → URL of its module. */
  readonly functions: ReadonlyMap<string, string>
  readonly limits: Limits
  readonly preboot: boolean
}

/** Supabase's free plan: 2 s of CPU, 150 s of wall clock, 256 MB. */
const cloud = { cpuMs: 2000, wallMs: 150_000, memoryMb: 256, idleMs: 300_000 } as const

export function readSettings(environment: Readonly<Record<string, string>>, defaultConfigFile: string): Settings {
  // An empty variable is one that isn't given.
  const env = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const faults: string[] = []
  const whole = (name: string, otherwise?: number): number => {
    const text = env[name] ?? otherwise?.toString() ?? ''
    if (!/^\d{1,9}$/.test(text)) faults.push(text === '' ? `${name}: missing.` : `${name}: must be a whole number.`)
    return Number(text)
  }
  const port = whole('PORT')
  const limits = {
    cpuMs: whole('EDGE_CPU_MS', cloud.cpuMs),
    wallMs: whole('EDGE_WALL_MS', cloud.wallMs),
    memoryMb: whole('EDGE_MEMORY_MB', cloud.memoryMb),
    idleMs: whole('EDGE_IDLE_MS', cloud.idleMs),
  }
  const functions = readFunctions(env['SUPABASE_CONFIG'] ?? defaultConfigFile, faults)
  if (faults.length > 0) throw new Error(`The environment has ${faults.length} fault(s):\n${faults.map((fault) => `  - ${fault}`).join('\n')}`)
  return { port, functions, limits, preboot: env['EDGE_PREBOOT'] === '1' }
}

function readFunctions(file: string, faults: string[]): Map<string, string> {
  const functions = new Map<string, string>()
  try {
    const folder = new URL('.', pathToFileURL(file))
    for (const [name, { entrypoint }] of Object.entries(parseSupabaseConfig(Deno.readTextFileSync(file)).functions)) {
      functions.set(name, new URL(entrypoint ?? `functions/${name}/index.ts`, folder).href)
    }
  } catch (error) {
    faults.push(`supabase/config.toml: ${error instanceof Error ? error.message : String(error)}`)
  }
  return functions
}
