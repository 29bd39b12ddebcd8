import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { homeAt } from '../../../infra/local/home.ts'
import { asUser } from '../../../infra/local/parts/postgres-binaries.ts'
import { functionEnvironment, placesOf } from '../../../infra/local/places.ts'
import { defaultPorts } from '../../../infra/local/ports.ts'
import { stackRecipes } from '../../../infra/local/recipes.ts'
import { ensureSecrets } from '../../../infra/local/secrets.ts'
import { baseEnvironment, readEnvironment, stackSettings } from '../../../infra/local/settings.ts'

const work = mkdtempSync(join(tmpdir(), 'afluente-settings-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))
const secrets = ensureSecrets(join(work, 'secrets.json'))

function partsOf(env: NodeJS.ProcessEnv): string[] {
  const settings = stackSettings(env)
  const places = placesOf(defaultPorts, secrets, settings)
  return Object.keys(
    stackRecipes({ home: homeAt(work), ports: defaultPorts, places, secrets, settings, env, report: () => undefined, signal: new AbortController().signal }),
  )
}

describe('somebody’s own server', () => {
  it('wins over the one that the stack would start; an empty text is none', () => {
    expect(partsOf({})).toEqual(['postgres', 'kafka', 'elasticsearch', 'supabase', 'edge', 'worker'])
    expect(partsOf({ KAFKA_BROKERS: 'broker:9092', ELASTICSEARCH_URL: ' ' })).not.toContain('kafka')
    expect(partsOf({ KAFKA_BROKERS: 'broker:9092', ELASTICSEARCH_URL: ' ' })).toContain('elasticsearch')
    expect(partsOf({ ELASTICSEARCH_URL: 'http://127.0.0.1:9201' })).not.toContain('elasticsearch')
  })

  it('leaves the stack’s Postgres for the databases that it does not bring', () => {
    expect(partsOf({ SOURCE_DATABASE_URL: 'postgres://a:b@127.0.0.1/x' })).toContain('postgres')
    expect(partsOf({ SOURCE_DATABASE_URL: 'postgres://a:b@127.0.0.1/x', ANALYTICS_DATABASE_URL: 'postgres://a:b@127.0.0.1/y' })).not.toContain('postgres')
  })

  it('keeps its credentials to itself: none of them reaches a local one', () => {
    const local = stackSettings({ KAFKA_SSL: 'true', KAFKA_USERNAME: 'u', ELASTICSEARCH_API_KEY: 'k' })
    expect(local.passOn).toEqual({})
    const own = stackSettings({ KAFKA_BROKERS: 'broker:9092', KAFKA_SSL: 'true', KAFKA_USERNAME: 'u', ELASTICSEARCH_API_KEY: 'k' })
    expect(own.passOn).toEqual({ KAFKA_SSL: 'true', KAFKA_USERNAME: 'u' })
    expect(functionEnvironment(placesOf(defaultPorts, secrets, own), secrets, own, work)).toMatchObject({ KAFKA_BROKERS: 'broker:9092', KAFKA_SSL: 'true' })
  })
})

it('reads .env below the shell, and hands neither to the functions as they are', () => {
  const file = join(work, '.env')
  writeFileSync(file, 'AFLUENTE_HOME=from-file\nKAFKA_BROKERS=file:1\n')
  const env = readEnvironment({ AFLUENTE_HOME: 'from-shell', SUPABASE_SERVICE_ROLE_KEY: 'a real project’s', PATH: '/bin' }, file)
  expect(env).toMatchObject({ AFLUENTE_HOME: 'from-shell', KAFKA_BROKERS: 'file:1' })
  expect(baseEnvironment(env)).toEqual({ PATH: '/bin' })
})

it('makes the stack’s secrets once, for this user alone', () => {
  expect(ensureSecrets(join(work, 'secrets.json'))).toEqual(secrets)
  expect(statSync(join(work, 'secrets.json')).mode & 0o777).toBe(0o600)
  const [, claims = ''] = secrets.serviceRoleKey.split('.')
  expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ role: 'service_role' })
})

it('runs Postgres as another user than root, also from a folder that is closed to that user', () => {
  const command = { file: '/pg/postgres', args: ['-D', work] }
  const user = { uid: 65534, gid: 65534 }
  expect(asUser(command, undefined, [work])).toBe(command)
  expect(asUser(command, user, ['/'])).toMatchObject({ file: '/pg/postgres', uid: 65534 })
  // mkdtemp gives 0700 to its maker.
  expect(asUser(command, user, [work])).toMatchObject({ file: '/usr/bin/setpriv', args: expect.arrayContaining(['--reuid=65534', '/pg/postgres']) as string[] })
})
