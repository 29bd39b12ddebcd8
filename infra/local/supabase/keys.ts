/**
 * Who is calling: the checks that Supabase's gateway (a known `apikey`) and PostgREST (the bearer's signature, its
 * expiry, its `role`) make. HS256 only, as on projects with the legacy keys.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

export interface Caller {
  readonly role: string
  /** The claims as the token carries them, for `request.jwt.claims`. */
  readonly claims: string
  /** The request's own header, for `request.headers`: the one that anything reads there. */
  readonly traceparent?: string
}

export type KeyCheck = { readonly ok: true; readonly caller: Caller } | { readonly ok: false; readonly status: 401; readonly body: string }

export interface Keys {
  /** For `/rest/v1`: wants `apikey`, and takes the role from the bearer when there is one. */
  check(apikey: string | undefined, authorization: string | undefined): KeyCheck
  /** For functions: a valid JWT in `authorization`. */
  checkBearer(authorization: string | undefined): KeyCheck
  isServiceRole(authorization: string | undefined): boolean
}

interface Token {
  readonly caller: Caller
  readonly expiresAtMs: number
}

const remembered = 1000

export function createKeys(deps: { readonly secret: string; readonly now: () => number }): Keys {
  // The same few tokens come with every call; a signature is checked once.
  const tokens = new Map<string, Token | null>()

  const read = (token: string): Token | null => {
    const known = tokens.get(token)
    if (known !== undefined) return known
    const verified = verify(token, deps.secret)
    if (tokens.size >= remembered) tokens.clear()
    tokens.set(token, verified)
    return verified
  }
  const use = (token: string): KeyCheck => {
    const known = read(token)
    if (known === null) return refused('PGRST301', 'No suitable key or wrong key type', "The token's signature doesn't fit SUPABASE_JWT_SECRET.")
    if (known.expiresAtMs <= deps.now()) return refused('PGRST303', 'JWT expired', null)
    return { ok: true, caller: known.caller }
  }

  return {
    check: (apikey, authorization) => {
      if (apikey === undefined || apikey === '') {
        return {
          ok: false,
          status: 401,
          body: JSON.stringify({ message: 'No API key found in request', hint: 'No `apikey` request header or url param was found.' }),
        }
      }
      if (read(apikey) === null) {
        return {
          ok: false,
          status: 401,
          body: JSON.stringify({ message: 'Invalid API key', hint: 'Double check your Supabase `anon` or `service_role` API key.' }),
        }
      }
      return use(bearerOf(authorization) ?? apikey)
    },
    checkBearer: (authorization) => {
      const token = bearerOf(authorization)
      if (token === undefined)
        return { ok: false, status: 401, body: JSON.stringify({ code: 'UNAUTHORIZED_NO_AUTH_HEADER', message: 'Missing authorization header' }) }
      const checked = use(token)
      return checked.ok ? checked : { ok: false, status: 401, body: JSON.stringify({ code: 'UNAUTHORIZED_INVALID_JWT_FORMAT', message: 'Invalid JWT' }) }
    },
    isServiceRole: (authorization) => {
      const token = bearerOf(authorization)
      const checked = token === undefined ? undefined : use(token)
      return checked?.ok === true && checked.caller.role === 'service_role'
    },
  }
}

function bearerOf(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^bearer\s+(\S+)$/i.exec(authorization)?.[1]
}

function refused(code: string, message: string, hint: string | null): KeyCheck {
  return { ok: false, status: 401, body: JSON.stringify({ code, message, details: null, hint }) }
}

function verify(token: string, secret: string): Token | null {
  const [header, payload, signature, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return null
  const expected = createHmac('sha256', secret).update(`${header}.${payload}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  const algorithm = fields(header)['alg']
  const text = Buffer.from(payload, 'base64url').toString('utf8')
  const claims = fields(payload)
  if (algorithm !== 'HS256') return null
  const { role, exp } = claims
  return {
    caller: { role: typeof role === 'string' ? role : 'anon', claims: text },
    expiresAtMs: typeof exp === 'number' ? exp * 1000 : Number.POSITIVE_INFINITY,
  }
}

function fields(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
