import { setTimeout as sleep } from 'node:timers/promises'
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import type { Home } from './home.ts'
import { identify } from './process-identity.ts'
import { readStackFile, type StackInfo } from './stack-info.ts'

const lock = z.object({ pid: z.number(), identity: z.string() })

/** The supervisor that has this home, whether it is ready or still starting; undefined when none lives. */
export function runningSupervisor(home: Home): number | undefined {
  try {
    const { pid, identity } = lock.parse(JSON.parse(readFileSync(home.lockFile, 'utf8')))
    return identify(pid) === identity ? pid : undefined
  } catch {
    return undefined
  }
}

/** Waits until the supervisor has written stack.json; undefined when it ends before that. */
export async function whenReady(home: Home): Promise<StackInfo | undefined> {
  for (;;) {
    const pid = runningSupervisor(home)
    if (pid === undefined) return undefined
    const info = readStackFile(home)
    if (info?.control.pid === pid) return info
    await sleep(100)
  }
}

/** Where everything is, one line a part. Passwords and tokens stay in stack.json: what is printed ends up in logs. */
export function whereLines(info: StackInfo, home: Home): string[] {
  return [
    `source         ${withoutPassword(info.source.url)}`,
    `supabase       ${info.supabase.url}`,
    `analytics      ${withoutPassword(info.analytics.url)}`,
    `kafka          ${info.kafka.brokers.join(', ')}`,
    `elasticsearch  ${withoutPassword(info.elasticsearch.url)}`,
    `worker         ${info.worker.url}`,
    `passwords, tokens, process ids: ${home.stackFile}`,
    `try: psql "$(node -p "require('${home.stackFile}').source.url")" -c "insert into leads (name, status) values ('Ada', 'new')"`,
  ]
}

function withoutPassword(text: string): string {
  const url = new URL(text)
  if (url.password === '') return text
  url.password = ''
  return url.href
}
