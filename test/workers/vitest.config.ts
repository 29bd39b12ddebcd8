/** Tests that run inside workerd, with the Worker's own wrangler.toml. */
import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineProject } from 'vitest/config'

export default defineProject({
  plugins: [cloudflareTest({ wrangler: { configPath: '../../wrangler.toml' } })],
  test: { name: 'workers', include: ['**/*.test.ts'] },
})
