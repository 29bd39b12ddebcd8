/** A backfill as an operator runs it, in a process of its own, which is killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { repository } from '../../infra/local/home.ts'
import { ownEnvironment } from '../../infra/local/settings.ts'
import type { World } from './world.ts'

/** Its servers may be away when it begins: then it is asked for again, as people would. */
const TRIES = 8
const BETWEEN_TRIES_MS = 1_000

interface Planned {
  readonly rate: number
  readonly forMs: number
}

/** Begins one of the leads, or goes on with the one that was killed, and ends it with SIGKILL so long after its first word. What it says is with the logs of the parts. */
export async function killedBackfill(world: Pick<World, 'info' | 'logs'>, planned: Planned): Promise<void> {
  for (let tries = 0; tries < TRIES && !(await began(world, planned)); tries += 1) await sleep(BETWEEN_TRIES_MS)
}

/** False when it ended by itself without having sent all. */
async function began({ info, logs }: Pick<World, 'info' | 'logs'>, { forMs, rate }: Planned): Promise<boolean> {
  const { analytics, source, supabase } = info
  const env = {
    ...ownEnvironment(),
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    SOURCE_DATABASE_URL: source.url,
    ANALYTICS_DATABASE_URL: analytics.url,
  }
  const args = [join(repository, 'infra/cli/main.ts'), 'backfill', 'leads', '--rate', String(rate)]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const gone = once(child, 'close').then(() => 'gone' as const)
  const keep = (text: Buffer): void => appendFileSync(join(logs, 'backfill.log'), text)
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const begun = await Promise.race([once(child.stdout, 'data'), gone])
  if (begun !== 'gone') await Promise.race([sleep(forMs), gone])
  const ended = child.exitCode
  child.kill('SIGKILL')
  await gone
  return ended === null || ended === 0
}
