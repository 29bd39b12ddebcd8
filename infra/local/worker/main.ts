/**
 * The Worker of wrangler.toml on this machine: wrangler's own bundle in workerd, with its Durable Objects, its bindings
 * pointed at the local servers, and a clock that fires its crons. PORT is the Worker's; CONTROL_PORT takes `POST /scheduled`.
 */
import { createServer } from 'node:http'
import { join } from 'node:path'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { setTimeout as sleep } from 'node:timers/promises'
import { pipeline } from '../../../shared/pipeline.ts'
import { bundleWorker } from './bundle.ts'
import { fires } from './crons.ts'
import { localBindings } from './bindings.ts'
import { modulesOf } from './modules.ts'

const env = process.env
const port = Number(env['PORT'] ?? 0)
const root = env['AFLUENTE_WORKER_ROOT']
const { folder, manifest } = await bundleWorker({ env, ...(root === undefined ? {} : { root }) })

const options = convertV4MiniflareOptions({
  name: manifest.name,
  rootPath: folder,
  modules: modulesOf(join(folder, manifest.main), env),
  modulesRoot: folder,
  compatibilityDate: manifest.compatibilityDate,
  compatibilityFlags: manifest.compatibilityFlags,
  host: '127.0.0.1',
  port,
  // Else it asks Cloudflare where this machine is.
  cf: false,
  ...localBindings(manifest, env),
})
const worker = new Miniflare(options)
const url = await worker.ready

/** One after the other, as each would run alone; what a handler throws is told and does not end the clock. */
async function scheduled(crons: readonly string[], at: Date): Promise<string[]> {
  const { scheduled: fire } = await worker.getWorker()
  const faults: string[] = []
  for (const cron of crons) {
    const { outcome } = await fire({ cron, scheduledTime: at })
    if (outcome !== 'ok') faults.push(`${cron}: ${outcome}`)
  }
  for (const fault of faults) console.error(JSON.stringify({ level: 'error', message: 'a cron of the Worker failed', fault }))
  return faults
}

function tick(): void {
  const wait = 60_000 - (Date.now() % 60_000)
  setTimeout(() => {
    // A timer may come a little early; the minute it stands for is the one it is nearest to.
    const minute = new Date(Math.round(Date.now() / 60_000) * 60_000)
    void scheduled(
      manifest.crons.filter((cron) => fires(cron, minute)),
      minute,
    ).catch((error: unknown) => console.error(String(error)))
    tick()
  }, wait).unref()
}
tick()
// In the cloud the next minute is never far; whoever starts a stack shouldn't wait for it.
void scheduled(manifest.crons, new Date()).catch((error: unknown) => console.error(String(error)))

const control = createServer((request, response) => {
  const allowed = request.headers.authorization === `Bearer ${env['AFLUENTE_API_TOKEN'] ?? ''}`
  const answer = (status: number, body: unknown): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (request.url === '/_health') return answer(200, { ok: true })
  if (!allowed) return answer(401, { error: "the Worker's token is wanted" })
  if (request.method !== 'POST' || request.url !== '/scheduled') return answer(404, { error: 'POST /scheduled' })
  scheduled(manifest.crons, new Date()).then(
    (faults) => answer(faults.length === 0 ? 200 : 500, { crons: manifest.crons, faults }),
    (error: unknown) => answer(500, { error: String(error) }),
  )
})
control.listen({ host: '127.0.0.1', port: Number(env['CONTROL_PORT'] ?? 0) }, () => console.log(JSON.stringify({ ready: true, port: Number(url.port) })))

const leaveWithinMs = 2_500

/** The consumers leave their Kafka groups: else the next start waits until the broker has given up on these members. */
async function leaveGroups(): Promise<void> {
  const objects = await worker.getDurableObjectNamespace('DELIVER')
  const names = Object.entries(pipeline.consumers).flatMap(([name, { instances }]) => Array.from({ length: instances }, (_, index) => `${name}:${index}`))
  const leaving = names.map((name) => (objects.get(objects.idFromName(name)) as unknown as { leave: () => Promise<void> }).leave())
  await Promise.race([Promise.all(leaving), sleep(leaveWithinMs)])
}

let ending = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  // miniflare's own listener ends this process on the spot.
  process.removeAllListeners(signal)
  process.on(signal, () => {
    if (ending) return
    ending = true
    control.close()
    void leaveGroups()
      .catch((error: unknown) => console.error(String(error)))
      .then(() => worker.dispose())
      .finally(() => process.exit(0))
  })
}
