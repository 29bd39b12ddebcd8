/** The servers that tests share, started once instead of once a guard: what lies in them, each test makes anew. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { startStack } from '../../infra/local/stack.ts'
import { startPostgres } from '../support/postgres.ts'
import type { Guard } from './guard.ts'

export interface Servers {
  /** Where they are, as the tests look for them. */
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

export async function startServers(guards: readonly Guard[]): Promise<Servers> {
  const contract = guards.filter(({ tests: [project] }) => project === 'contract')
  if (contract.length === 0) return { env: {}, stop: async () => {} }
  const postgres = await startPostgres()
  const env = { AFLUENTE_TEST_POSTGRES_URL: postgres.url }
  if (!contract.some(({ tests }) => tests.some((file) => file.includes('elasticsearch')))) return { env, stop: () => postgres.stop() }
  const home = await mkdtemp(join(resolve('.'), '.afluente-test-'))
  const stack = await startStack({ home, ports: 'free', only: ['elasticsearch'] })
  return {
    env: { ...env, AFLUENTE_TEST_ELASTICSEARCH_URL: stack.info.elasticsearch.url },
    stop: async () => {
      await Promise.allSettled([stack.stop(), postgres.stop()])
      await rm(home, { recursive: true, force: true })
    },
  }
}
