import * as z from 'zod'
import { readJson, type Home } from './home.ts'
import type { Part } from './part.ts'
import type { Places } from './places.ts'
import type { Secrets } from './secrets.ts'

/** The file's shape. */
export const stackFile = z.object({
  version: z.literal(1),
  source: z.object({ url: z.string() }),
  supabase: z.object({ url: z.string(), anonKey: z.string(), serviceRoleKey: z.string() }),
  analytics: z.object({ url: z.string() }),
  /** `reader`: as the role that ETL reads with. */
  chatwoot: z.object({ url: z.string(), reader: z.string() }),
  kafka: z.object({ brokers: z.array(z.string()) }),
  elasticsearch: z.object({ url: z.string() }),
  worker: z.object({ url: z.string(), token: z.string() }),
  /** Process ids of the parts that run, as they are now. */
  processes: z.record(z.string(), z.number()),
  /** The supervisor: POST /parts/<name>/stop|start|kill|restart, POST /stop, POST /cron, GET /status, with the token. */
  control: z.object({ url: z.string(), token: z.string(), pid: z.number() }),
  webhookSecret: z.string(),
})

/** What `.afluente/stack.json` says: where every part of a running stack is. */
export type StackInfo = z.infer<typeof stackFile>

/** The stack that was last ready there; undefined when there is none. Says nothing about whether it still runs. */
export function readStackFile(home: Home): StackInfo | undefined {
  return stackFile.safeParse(readJson(home.stackFile)).data
}

export interface InfoDeps {
  readonly places: Places
  readonly secrets: Secrets
  readonly parts: ReadonlyMap<string, Part>
  readonly control: StackInfo['control']
}

/** What stack.json says of a stack that is ready. */
export function stackInfo({ places, secrets, parts, control }: InfoDeps): StackInfo {
  return {
    version: 1,
    source: { url: places.source },
    supabase: { url: places.supabase, anonKey: secrets.anonKey, serviceRoleKey: secrets.serviceRoleKey },
    analytics: { url: places.analytics },
    chatwoot: { url: places.chatwoot, reader: places.chatwootReader },
    kafka: { brokers: [...places.brokers] },
    elasticsearch: { url: places.elasticsearch },
    worker: { url: places.worker, token: secrets.apiToken },
    processes: processesOf(parts),
    control,
    webhookSecret: secrets.webhookSecret,
  }
}

/** The process ids of the parts that run now. */
export function processesOf(parts: ReadonlyMap<string, Part>): Record<string, number> {
  return Object.fromEntries([...parts].flatMap(([name, part]) => (part.pid === undefined ? [] : [[name, part.pid]])))
}
