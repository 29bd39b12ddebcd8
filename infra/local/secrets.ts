import { createHmac, randomBytes } from 'node:crypto'
import * as z from 'zod'
import { readJson, writePrivate } from './home.ts'

const secretsSchema = z.object({
  postgresPassword: z.string(),
  jwtSecret: z.string(),
  anonKey: z.string(),
  serviceRoleKey: z.string(),
  webhookSecret: z.string(),
  apiToken: z.string(),
  /** Of the role that reads Chatwoot's view; stacks made before it had one get it with their next start. */
  chatwootPassword: z.string().optional(),
})

/** What the local parts know each other by: random, made once per stack, kept in a file of this user alone. */
export type Secrets = Readonly<z.infer<typeof secretsSchema> & { chatwootPassword: string }>

/** Reads the secrets of a stack, or makes them. */
export function ensureSecrets(file: string): Secrets {
  const kept = secretsSchema.safeParse(readJson(file))
  if (kept.success) return completed(file, kept.data)
  const jwtSecret = token()
  const secrets: Secrets = {
    postgresPassword: token(),
    jwtSecret,
    anonKey: jwt(jwtSecret, 'anon'),
    serviceRoleKey: jwt(jwtSecret, 'service_role'),
    webhookSecret: token(),
    apiToken: token(),
    chatwootPassword: token(),
  }
  writePrivate(file, secrets)
  return secrets
}

function completed(file: string, kept: z.infer<typeof secretsSchema>): Secrets {
  const secrets = { ...kept, chatwootPassword: kept.chatwootPassword ?? token() }
  if (kept.chatwootPassword === undefined) writePrivate(file, secrets)
  return secrets
}

function token(): string {
  return randomBytes(24).toString('base64url')
}

/** Shaped as Supabase's own keys: HS256, a role, an end in ten years. */
function jwt(secret: string, role: string): string {
  const issued = Math.floor(Date.now() / 1000)
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ iss: 'supabase-local', role, iat: issued, exp: issued + 10 * 365 * 86_400 })}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}
