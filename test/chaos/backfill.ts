/** A backfill as an operator runs it, in a process of its own, which is killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { repository } from '../../infra/local/home.ts'
import { ownEnvironment } from '../../infra/local/settings.ts'
import type { World } from './world.ts'

/** Begins one of the leads, or goes on with the one that was killed, and ends it with SIGKILL. That it ends by itself, or can't go on, is no fault: its servers die as well. */
export async function killedBackfill({ info }: Pick<World, 'info'>, { forMs, rate }: { readonly rate: number; readonly forMs: number }): Promise<void> {
  const { analytics, source, supabase } = info
  const env = {
    ...ownEnvironment(),
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    SOURCE_DATABASE_URL: source.url,
    ANALYTICS_DATABASE_URL: analytics.url,
  }
  const child = spawn(process.execPath, [join(repository, 'infra/cli/main.ts'), 'backfill', 'leads', '--rate', String(rate)], { env, stdio: 'ignore' })
  const gone = once(child, 'close')
  await Promise.race([sleep(forMs), gone])
  child.kill('SIGKILL')
  await gone
}
