import { describe, expect, test } from 'vitest'
import { filesOf, textOf } from '../support/repository.ts'
import { importsOf, violationsOf } from './imports.ts'

const files = filesOf('shared/*.ts', 'functions/*.ts', 'infra/*.ts', 'infra/*.mjs', 'test/*.ts', 'test/*.mjs')

test('the check has seen the files of every layer', () => {
  const seen = (folder: string) => files.filter((file) => file.startsWith(folder)).length
  expect(seen('shared/')).toBeGreaterThan(60)
  expect(seen('functions/')).toBeGreaterThan(10)
  expect(seen('infra/')).toBeGreaterThan(30)
  expect(seen('test/')).toBeGreaterThan(20)
  for (const folder of [
    'tables',
    'events',
    'mappings',
    'ports',
    'engine',
    'adapters/memory',
    'adapters/kafka',
    'adapters/postgres',
    'adapters/elasticsearch',
    'adapters/supabase',
  ]) {
    expect(seen(`shared/${folder}/`), folder).toBeGreaterThan(0)
  }
  const imports = files.flatMap((file) => importsOf(textOf(file)))
  expect(imports.length).toBeGreaterThan(300)
})

test('every file imports only what its layer may', () => {
  const known = new Set(filesOf())
  expect(files.flatMap((file) => violationsOf(file, textOf(file), (path) => known.has(path)))).toEqual([])
})

test('there are no barrels: each import names the file where the thing is', () => {
  const product = files.filter((file) => file.startsWith('shared/') || file.startsWith('functions/'))
  expect(product.filter((file) => /(?:^|\/)index\.ts$/.test(file) || /^export \* from/m.test(textOf(file)))).toEqual([])
})

describe('the check finds', () => {
  const broken = (path: string, source: string) => violationsOf(path, source, (target) => !target.includes('missing'))

  test.each([
    ['an engine that knows an adapter', 'shared/engine/x.ts', `import { sink } from '../adapters/postgres/sink.ts'`],
    ['an adapter that knows another', 'shared/adapters/kafka/x.ts', `import type { Db } from '../postgres/db.ts'`],
    ['an adapter with a second driver', 'shared/adapters/kafka/x.ts', `import pg from 'pg'`],
    ['a pure folder that reaches up', 'shared/tables/x.ts', `import { encode } from '../events/envelope.ts'`],
    ['a pure folder with a driver', 'shared/mappings/x.ts', `import { Kafka } from 'kafkajs'`],
    ['a definition that runs something', 'shared/pipeline.ts', `import { createDeliver } from './engine/deliver.ts'`],
    ['a core that knows a function', 'shared/engine/x.ts', `import { handler } from '../../functions/capture/handler.ts'`],
    ['a product that knows a test', 'functions/api/x.ts', `import { eventually } from '../../test/support/poll.ts'`],
    ['an import of several lines', 'shared/ports/x.ts', `import {\n  a,\n  b,\n} from '../engine/deliver.ts'`],
    ['a re-export', 'shared/ports/x.ts', `export { a } from '../engine/deliver.ts'`],
    ['a type', 'shared/ports/x.ts', `import type { A } from '../engine/deliver.ts'`],
    ['an import for its effect', 'shared/ports/x.ts', `import '../engine/deliver.ts'`],
    ['a dynamic import', 'shared/engine/x.ts', `const kafka = await import('kafkajs')`],
    ['an import without its ending', 'shared/engine/x.ts', `import { a } from './missing'`],
    ['a file in no layer', 'lib/x.ts', ''],
  ])('%s', (_, path, source) => {
    expect(broken(path, source)).toHaveLength(1)
    expect(broken(path, source)[0]).toMatch(/^LAYER VIOLATION .*DECISIONS\.md\.$/)
  })

  test('nothing in comments and texts', () => {
    expect(
      broken(
        'shared/engine/x.ts',
        `// import a from 'pg'\n/* import b from 'pg' */\nconst text = \`\nimport c from 'pg'\`\nimport { d } from '../ports/log.ts'`,
      ),
    ).toEqual([])
  })
})
