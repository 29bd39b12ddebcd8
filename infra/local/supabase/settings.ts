/** Environment and supabase/config.toml → settings. Every fault at once, by name, never by value. */
import { readFileSync } from 'node:fs'
import { parseSupabaseConfig, type FunctionConfig } from './config-toml.ts'
import { createKeys } from './keys.ts'

export interface Settings {
  readonly port: number
  readonly databaseUrl: string
  readonly jwtSecret: string
  readonly edgeUrl: string
  readonly schemas: readonly string[]
  readonly maxRows: number
  readonly functions: Readonly<Record<string, FunctionConfig>>
  readonly netPauseMs: number
}

export class SettingsFaults extends Error {
  constructor(faults: readonly string[]) {
    super(`The environment has ${faults.length} fault(s):\n${faults.map((fault) => `  - ${fault}`).join('\n')}`)
    this.name = 'SettingsFaults'
  }
}

export function readSettings(environment: NodeJS.ProcessEnv, defaultConfigFile: string): Settings {
  // An empty variable is one that isn't given.
  const env = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const faults: string[] = []
  const need = (name: string): string => {
    const value = env[name] ?? ''
    if (value === '') faults.push(`${name}: missing.`)
    return value
  }
  const url = (name: string, ...protocols: string[]): string => {
    const value = need(name)
    if (value !== '' && !(URL.canParse(value) && protocols.includes(new URL(value).protocol)))
      faults.push(`${name}: must begin with ${protocols.map((each) => `${each}//`).join(' or ')}.`)
    return value
  }
  const whole = (name: string, otherwise: number | undefined): number => {
    const text = otherwise === undefined ? need(name) : (env[name] ?? String(otherwise))
    if (text !== '' && !/^\d{1,9}$/.test(text)) faults.push(`${name}: must be a whole number.`)
    return Number(text)
  }
  const key = (name: string, role: string, secret: string): void => {
    const token = need(name)
    const checked = createKeys({ secret, now: Date.now }).checkBearer(`Bearer ${token}`)
    if (token !== '' && !(checked.ok && checked.caller.role === role))
      faults.push(`${name}: must be a JWT of role ${role}, signed (HS256) with SUPABASE_JWT_SECRET and not expired.`)
  }

  const port = whole('PORT', undefined)
  const databaseUrl = url('SOURCE_DATABASE_URL', 'postgres:', 'postgresql:')
  const edgeUrl = url('EDGE_URL', 'http:')
  const jwtSecret = need('SUPABASE_JWT_SECRET')
  key('SUPABASE_ANON_KEY', 'anon', jwtSecret)
  key('SUPABASE_SERVICE_ROLE_KEY', 'service_role', jwtSecret)
  const netPauseMs = whole('PG_NET_PAUSE_MS', 1000)
  const config = readConfig(env['SUPABASE_CONFIG'] ?? defaultConfigFile, faults)
  if (faults.length > 0 || config === undefined) throw new SettingsFaults(faults)
  const schemas = env['AFLUENTE_SCHEMAS']?.split(',').map((schema) => schema.trim()) ?? config.api.schemas
  return { port, databaseUrl, jwtSecret, edgeUrl, schemas, maxRows: config.api.maxRows, functions: config.functions, netPauseMs }
}

function readConfig(file: string, faults: string[]): ReturnType<typeof parseSupabaseConfig> | undefined {
  try {
    return parseSupabaseConfig(readFileSync(file, 'utf8'))
  } catch (error) {
    faults.push(`supabase/config.toml: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}
