/**
 * Runs the Edge Functions of supabase/config.toml the way Supabase's Edge Runtime does: `POST /<function>` in an isolate
 * with the cloud's limits. Loopback only. Writes `{"ready":true,"port":n}` once it serves.
 */
import { fileURLToPath } from 'node:url'
import { createHost } from './host.ts'
import { bootIsolate } from './isolate.ts'
import { log } from './log.ts'
import { createPool } from './pool.ts'
import { readSettings, type Settings } from './settings.ts'

const root = new URL('../../../', import.meta.url)
const checkEveryMs = 20

function read(): Settings | undefined {
  try {
    return readSettings(Deno.env.toObject(), fileURLToPath(new URL('supabase/config.toml', root)))
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    return undefined
  }
}

const settings = read() ?? Deno.exit(1)
const { limits, preboot } = settings
const configFile = fileURLToPath(new URL('deno.json', root))

let isolates = 0
const pools = new Map(
  [...settings.functions].map(([name, module]) => {
    const boot = () => bootIsolate({ id: ++isolates, module, memoryMb: limits.memoryMb, now: Date.now, configFile })
    return [name, createPool({ name, limits, preboot, boot, now: Date.now, log })] as const
  }),
)

const host = createHost({ pools, log })
const checking = setInterval(() => {
  for (const pool of pools.values()) pool.check()
}, checkEveryMs)

// The first doorbell finds an isolate; from then on they boot when needed. A module that can't be loaded shows here.
await Promise.allSettled([...pools.values()].map((pool) => pool.current().ready))

const server = Deno.serve(
  { port: settings.port, hostname: '127.0.0.1', onListen: ({ port }) => console.log(JSON.stringify({ ready: true, port })) },
  (request) => host.handle(request),
)

const stop = (): void => {
  clearInterval(checking)
  for (const pool of pools.values()) pool.stop()
  setTimeout(() => Deno.exit(0), 1000)
  void server.shutdown().then(() => Deno.exit(0))
}
Deno.addSignalListener('SIGTERM', stop)
Deno.addSignalListener('SIGINT', stop)
