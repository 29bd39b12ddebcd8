/** The suites, one project each: `vitest run --project <name>`. `npm test` runs them in the order of test/steps.ts. */
import { defineConfig } from 'vitest/config'

const files = (...folders: string[]) => folders.map((folder) => `${folder}/**/*.test.ts`)

/** Suites on real servers share them, so their files take turns; starting a server takes its time. */
const onRealServers = { fileParallelism: false, testTimeout: 60_000, hookTimeout: 180_000, teardownTimeout: 30_000 }

const setupFiles = ['test/support/properties-setup.ts']

export default defineConfig({
  test: {
    allowOnly: false,
    projects: [
      { test: { name: 'unit', include: files('test/unit'), setupFiles } },
      { test: { name: 'architecture', include: files('test/architecture'), setupFiles, testTimeout: 60_000, hookTimeout: 60_000 } },
      { test: { name: 'flow', include: files('test/flow/memory'), setupFiles, testTimeout: 60_000 } },
      { test: { name: 'contract', include: files('test/contract'), exclude: files('test/contract/source'), setupFiles, ...onRealServers } },
      // Each file has a Postgres of its own; two at a time.
      {
        test: {
          name: 'source',
          include: files('test/contract/source'),
          setupFiles,
          ...onRealServers,
          fileParallelism: true,
          maxWorkers: 2,
        },
      },
      { test: { name: 'real', include: files('test/flow/real'), globalSetup: 'test/support/stack-setup.ts', ...onRealServers, testTimeout: 180_000 } },
      'test/workers/vitest.config.ts',
    ],
  },
})
