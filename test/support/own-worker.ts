/** The Worker in a workerd of its own, beside a stack's: another definition, or its inspector open. Nobody fires its crons, so its consumers rest. */
import { join } from 'node:path'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { localBindings } from '../../infra/local/worker/bindings.ts'
import { bundleWorker } from '../../infra/local/worker/bundle.ts'

/** Nobody listens there. */
const away = '127.0.0.1:9'
const token = 'the-api-token-of-a-test'
const ELSEWHERE = {
  SUPABASE_URL: `http://${away}`,
  SUPABASE_SERVICE_ROLE_KEY: 'the-service-role-key',
  KAFKA_BROKERS: away,
  ELASTICSEARCH_URL: `http://${away}`,
  AFLUENTE_WEBHOOK_SECRET: 'the-webhook-secret',
  AFLUENTE_API_TOKEN: token,
} as const

export interface OwnWorker {
  readonly name: string
  /** JSON of an answer that is well; a body makes it a POST. */
  ask<T>(path: string, body?: unknown): Promise<T>
  /** Where the inspector lists what it can look into. */
  inspectorList(): Promise<string>
  close(): Promise<void>
}

export interface OwnWorkerOptions {
  /** What it is bundled from; the repository where it is left out. */
  readonly root?: string
  /** The contract's variables: what is not named leads nowhere. */
  readonly env: Readonly<Record<string, string>>
  readonly inspected?: boolean
}

export async function startOwnWorker({ env, inspected = false, root }: OwnWorkerOptions): Promise<OwnWorker> {
  const { folder, manifest } = await bundleWorker({ env: process.env, ...(root === undefined ? {} : { root }) })
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      name: manifest.name,
      rootPath: folder,
      modules: [{ type: 'ESModule', path: join(folder, manifest.main) }],
      modulesRoot: folder,
      compatibilityDate: manifest.compatibilityDate,
      compatibilityFlags: manifest.compatibilityFlags,
      host: '127.0.0.1',
      port: 0,
      cf: false,
      // Standard output is its caller's own.
      handleStructuredLogs: ({ message }) => void process.stderr.write(`${message}\n`),
      ...(inspected ? { inspectorPort: 0 } : {}),
      ...localBindings(manifest, { ...ELSEWHERE, ...env }),
    }),
  )
  const base = await worker.ready
  return {
    name: manifest.name,
    ask: async <T>(path: string, body?: unknown) => {
      const headers = { authorization: `Bearer ${token}` }
      const response = await fetch(new URL(path, base), body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) })
      if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
      return (await response.json()) as T
    },
    inspectorList: async () => `http://${(await worker.getInspectorURL()).host}/json`,
    close: () => worker.dispose(),
  }
}
