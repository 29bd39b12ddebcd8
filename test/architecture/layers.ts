/** Who may import whom. A layer is a folder (or file) of the repository; the first that matches a path is its layer. */

interface Layer {
  readonly at: string
  /** Beside itself: layers, or single files of one. */
  readonly may: readonly string[]
  /** npm packages and node: modules. `*` is any. */
  readonly packages: readonly string[]
}

const PURE = ['shared/tables/', 'shared/events/', 'shared/mappings/', 'shared/steps/', 'shared/windows/', 'shared/rules/'] as const
/** What of the engine is no engine: names, errors, durations. Types and pure functions that every side speaks. */
const WORDS = [
  'shared/engine/define.ts',
  'shared/engine/duration.ts',
  'shared/engine/etl-step.ts',
  'shared/engine/errors.ts',
  'shared/engine/retry.ts',
  'shared/engine/settled.ts',
  'shared/config.ts',
] as const

const adapter = (name: string, ...packages: readonly string[]): Layer => ({
  at: `shared/adapters/${name}/`,
  may: ['shared/ports/', ...PURE, ...WORDS],
  packages,
})

export const layers: readonly Layer[] = [
  ...PURE.map((at, index): Layer => ({ at, may: [...PURE.slice(0, index), 'shared/engine/define.ts'], packages: ['zod'] })),
  { at: 'shared/pipeline.ts', may: [...PURE, 'shared/engine/define.ts'], packages: [] },
  { at: 'shared/config.ts', may: ['shared/engine/errors.ts'], packages: ['zod'] },
  { at: 'shared/ports/', may: ['shared/tables/', 'shared/events/'], packages: [] },
  // Reads cron fields across changes of the clock; does no I/O.
  { at: 'shared/engine/etl-schedule.ts', may: ['shared/tables/'], packages: ['croner'] },
  { at: 'shared/engine/', may: ['shared/ports/', 'shared/tables/', 'shared/events/'], packages: [] },
  adapter('memory'),
  adapter('kafka', 'kafkajs', 'node:buffer'),
  adapter('postgres', 'pg', 'node:buffer', 'node:crypto'),
  adapter('elasticsearch', '@elastic/elasticsearch', '@elastic/transport'),
  adapter('supabase', '@supabase/supabase-js'),
  { at: 'shared/adapters/', may: ['shared/ports/'], packages: [] },
  { at: 'functions/', may: ['shared/', 'package.json'], packages: ['*'] },
  { at: 'infra/', may: ['shared/', 'functions/'], packages: ['*'] },
  { at: 'test/', may: ['shared/', 'functions/', 'infra/', 'vitest.config.ts'], packages: ['*'] },
]

export function layerOf(path: string): Layer | undefined {
  return layers.find((layer) => path.startsWith(layer.at))
}
