/**
 * What only Supabase's cloud has, for the local stack: PostgREST's `/rest/v1` as supabase-js calls it, the functions'
 * gateway, pg_net's worker and pg_cron's. Loopback only. Writes `{"ready":true,"port":n}` once it serves.
 */
import { fileURLToPath } from 'node:url'
import { createScheduler } from './cron/scheduler.ts'
import { createGateway } from './gateway.ts'
import { createKeys } from './keys.ts'
import { createListener } from './listener.ts'
import { log, reasonOf } from './log.ts'
import { createNetWorker } from './net/worker.ts'
import { createDatabase } from './rest/database.ts'
import { createFunctions } from './rest/functions.ts'
import { createRest } from './rest/route.ts'
import { createRpc } from './rest/rpc.ts'
import { createTables } from './rest/tables.ts'
import { createStandIn } from './server.ts'
import { readSettings, type Settings } from './settings.ts'

function read(): Settings | undefined {
  try {
    return readSettings(process.env, fileURLToPath(new URL('../../../supabase/config.toml', import.meta.url)))
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n`)
    return undefined
  }
}

const settings = read() ?? process.exit(1)
const url = settings.databaseUrl
const keys = createKeys({ secret: settings.jwtSecret, now: Date.now })
const database = createDatabase({ url, statementTimeoutMs: 8000, connectionsPerRole: 10 })

try {
  await database.inspect('select 1', [])
} catch (error) {
  process.stderr.write(`The source database doesn't answer (${reasonOf(error)}). Check that it runs and that SOURCE_DATABASE_URL is right.\n`)
  process.exit(1)
}

const functions = createFunctions({ database })
const net = createNetWorker({ url, log, pauseMs: settings.netPauseMs })
const listener = createListener({ url, log, on: { pg_net_wake: net.wake, pgrst: functions.forget } })
const scheduler = createScheduler({ url, log, now: Date.now, tickMs: 1000 })
const rest = createRest({
  keys,
  schemas: settings.schemas,
  rpc: createRpc({ database, functions, maxRows: settings.maxRows }),
  tables: createTables({ database, maxRows: settings.maxRows }),
})
const server = createStandIn({ keys, rest, gateway: createGateway({ keys, edgeUrl: settings.edgeUrl, functions: settings.functions }), net, log })

server.once('error', (error) => {
  process.stderr.write(`Port ${settings.port} can't be listened on (${reasonOf(error)}). Choose another PORT.\n`)
  process.exit(1)
})
server.listen(settings.port, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${JSON.stringify({ ready: true, port: typeof address === 'object' ? address?.port : settings.port })}\n`)
})

const stop = (): void => {
  // What is under way gets a moment; a statement that sleeps doesn't get to keep the process.
  setTimeout(() => process.exit(0), 2000).unref()
  server.close()
  server.closeIdleConnections()
  void Promise.allSettled([listener.stop(), net.stop(), scheduler.stop(), database.close()]).then(() => process.exit(0))
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
