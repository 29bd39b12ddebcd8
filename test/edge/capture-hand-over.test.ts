/** Capture under the cloud's limits, with a real Kafka: it hands over to fresh isolates, and nothing is lost, doubled or held up. */
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { cacheDirectory } from '../../infra/local/home.ts'
import { createPart } from '../../infra/local/part.ts'
import { kafkaRecipe } from '../../infra/local/parts/kafka.ts'
import { choosePorts } from '../../infra/local/ports.ts'
import { kafkaClient } from '../../shared/adapters/kafka/connection.ts'
import { eventually, type HostProcess, withHost } from './host-process.ts'
import { supabaseStub, write } from './supabase-stub.ts'

const SECRET = 'the-webhooks-own-secret'
const TOPIC = 'afluente.public.leads'

Deno.test('rows keep flowing over the hand-overs', async (t) => {
  const folder = await Deno.makeTempDir({ prefix: 'afluente-edge-' })
  const { kafka: port, kafkaController: controllerPort } = await choosePorts('free')
  const env = Deno.env.toObject()
  const jars = { cache: cacheDirectory(env), env, report: () => {}, now: () => performance.now(), signal: new AbortController().signal }
  const part = createPart(kafkaRecipe({ data: `${folder}/kafka`, port, controllerPort, jars, env }), { logFile: `${folder}/kafka.log` })
  try {
    await part.start()
    await t.step('when the CPU is spent', () =>
      flow({ broker: `127.0.0.1:${port}`, rowsASecond: 400, seconds: 8 }, {}, async (host, mostLateMs) => {
        const stats = await host.json('/_stats')
        assert.ok(stats.handOvers >= 2, `${stats.handOvers} hand-overs`)
        assert.equal(stats.killedForCpu, 0)
        // A run that was killed instead would hold its lease for 3 s more.
        assert.ok(mostLateMs < 2_000, `${mostLateMs} ms`)
      }),
    )
    await t.step('when the runtime says that it ends the isolate', () =>
      flow({ broker: `127.0.0.1:${port}`, rowsASecond: 20, seconds: 6 }, { EDGE_WALL_MS: '5000' }, async (host) => {
        assert.ok((await host.json('/_stats')).handOvers >= 1)
      }),
    )
  } finally {
    await part.stop()
    await Deno.remove(folder, { recursive: true })
  }
})

interface Flow {
  readonly broker: string
  readonly rowsASecond: number
  readonly seconds: number
}

/** Writes rows at a steady rate, and looks that each stands on the topic once and in order. */
async function flow(
  { broker, rowsASecond, seconds }: Flow,
  limits: Readonly<Record<string, string>>,
  then: (host: HostProcess, mostLateMs: number) => Promise<void>,
): Promise<void> {
  const supabase = supabaseStub()
  const environment = {
    SUPABASE_CONFIG: fileURLToPath(new URL('../../supabase/config.toml', import.meta.url)),
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: 'the-service-roles-own-key',
    AFLUENTE_WEBHOOK_SECRET: SECRET,
    KAFKA_BROKERS: broker,
    ...limits,
  }
  try {
    await withHost(environment, async (host) => {
      supabase.edge = host.url
      // The first row makes the topic and warms the isolate up.
      write(supabase.source, 'first', '{}')
      const answer = await host.call('/capture', { method: 'POST', headers: { authorization: `Bearer ${SECRET}` } })
      assert.equal(answer.status, 202)
      await answer.body?.cancel()
      await eventually('the first row is in Kafka', () => supabase.source.waiting.length === 0)

      const rows = rowsASecond * seconds
      const began = performance.now()
      for (let written = 0; written < rows; await new Promise((resolve) => setTimeout(resolve, 2))) {
        const due = Math.min(rows, ((performance.now() - began) / 1_000) * rowsASecond)
        for (; written < due; written += 1) write(supabase.source, `k${written % 50}`, JSON.stringify({ written }))
      }
      await eventually('all rows are acknowledged', () => supabase.source.waiting.length === 0)
      const published = await publishedAt(broker, new Set(supabase.source.history.map((change) => String(change.version))))
      const lateMs = supabase.source.history
        .slice(1)
        .map((change) => (published.get(String(change.version)) ?? Infinity) - Date.parse(change.occurredAt.replace('000Z', 'Z')))
      lateMs.sort((a, b) => a - b)
      console.log(`commit to publish: median ${lateMs[lateMs.length >> 1]} ms, most ${lateMs.at(-1)} ms`)
      await then(host, lateMs.at(-1) ?? Infinity)
    })
  } finally {
    await supabase.close()
  }
}

/** When each of the versions was published. Fails when one stands on the topic twice, or before an older one of its key. */
async function publishedAt(broker: string, versions: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
  const quiet = { info: () => {}, warn: () => {}, error: () => {} }
  const kafka = kafkaClient({ brokers: [broker], ssl: false, ca: undefined, sasl: undefined }, { clientId: 'test', log: quiet, retries: 5 })
  const consumer = kafka.consumer({ groupId: crypto.randomUUID(), maxWaitTimeInMs: 100 })
  const published = new Map<string, number>()
  const faults: string[] = []
  const last = new Map<string, number>()
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [TOPIC], fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message }) => {
        const [key, version] = [String(message.key), String(message.headers?.['ce_sequence'])]
        if (!versions.has(version)) return
        if (published.has(version)) faults.push(`${key}:${version} stands there twice`)
        if (Number(version) < (last.get(key) ?? 0)) faults.push(`${key} went back to ${version}`)
        last.set(key, Number(version))
        published.set(version, Number(message.timestamp))
      },
    })
    await eventually('all rows are read', () => published.size === versions.size)
    assert.deepEqual(faults, [])
    return published
  } finally {
    await consumer.disconnect()
  }
}
