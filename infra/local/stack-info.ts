import * as z from 'zod'
import { readJson, type Home } from './home.ts'

const stackFile = z.object({
  version: z.literal(1),
  source: z.object({ url: z.string() }),
  supabase: z.object({ url: z.string(), anonKey: z.string(), serviceRoleKey: z.string() }),
  analytics: z.object({ url: z.string() }),
  chatwoot: z.object({ url: z.string() }),
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
