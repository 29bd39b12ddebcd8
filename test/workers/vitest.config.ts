/** Tests that run inside workerd, on the bundle that would be deployed, under wrangler.toml. Every server it is told of is away: what needs real ones is in the real suite. */
import { join } from 'node:path'
import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineProject } from 'vitest/config'
import { bundleWorker } from '../../infra/local/worker/bundle.ts'

/** Nobody listens there. */
const away = '127.0.0.1:9'

const { folder, manifest } = await bundleWorker({ env: process.env })

export default defineProject({
  plugins: [
    cloudflareTest({
      main: join(folder, manifest.main),
      wrangler: { configPath: '../../wrangler.toml' },
      miniflare: {
        bindings: {
          SUPABASE_URL: `http://${away}`,
          SUPABASE_SERVICE_ROLE_KEY: 'the-service-role-key',
          KAFKA_BROKERS: away,
          ELASTICSEARCH_URL: `http://${away}`,
          AFLUENTE_WEBHOOK_SECRET: 'the-webhook-secret',
          AFLUENTE_API_TOKEN: 'the-api-token-of-tests',
        },
        hyperdrives: { ANALYTICS: `postgres://nobody:secret@${away}/analytics`, CHATWOOT: `postgres://nobody:secret@${away}/chatwoot` },
      },
    }),
  ],
  resolve: { alias: { 'afluente-worker': join(folder, manifest.main) } },
  test: { name: 'workers', include: ['**/*.test.ts'], testTimeout: 30_000 },
})
