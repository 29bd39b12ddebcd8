import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')

const consumer = (rest: string, mode = 'continuous') =>
  `definePipeline({ tables: [leads, chatSessions], topics, consumers: { it: { mode: '${mode}', instances: 1, ${rest} } } })`
const index = (indices: string) => consumer(`reads: ['afluente.public.leads'], sink: { kind: 'elasticsearch', indices: ${indices} }`)
const postgres = `sink: { kind: 'postgres', bronze: true, silver: true }`

/** Each is wrong in one name; the compiler's message must hold the right one. */
const wrong = {
  topic: [consumer(`reads: ['afluente.public.lead'], ${postgres}`), `Did you mean '"afluente.public.leads"'?`],
  'column of an index': [index(`{ leads: { version: 1, fields: { nme: 'text' } } }`), `Did you mean to write 'name'?`],
  'table of an index': [index(`{ lead: { version: 1 } }`), `Did you mean to write 'leads'?`],
  'kind of a field': [index(`{ leads: { version: 1, fields: { name: 'txt' } } }`), `Did you mean '"text"'?`],
  mode: [consumer(`reads: [], ${postgres}`, 'continous'), `Did you mean '"continuous"'?`],
  'key column': [`table({ schema: 'public', name: 'x', key: ['uid'], columns: { id: 'uuid' } })`, `is not assignable to type '"id"'`],
  'column type': [`table({ schema: 'public', name: 'x', key: ['id'], columns: { id: 'uid' } })`, `Did you mean '"uuid"'?`],
  duration: [`definePipeline({ tables: [leads], topics: { ...topics, retention: '7 days' }, consumers: {} })`, 'number}d`'],
} as const

const good = index(`{ leads: { version: 1, fields: { name: 'text' } } }`)

describe('a definition with a wrong name does not compile, and the message names the right one', () => {
  let folder = ''
  let output = ''

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'afluente-types-'))
    const path = (file: string) => JSON.stringify(join(root, 'shared', file))
    const header = [
      `import { definePipeline } from ${path('engine/define.ts')}`,
      `import { chatSessions } from ${path('tables/chat_sessions.ts')}`,
      `import { leads } from ${path('tables/leads.ts')}`,
      `import { table } from ${path('tables/table.ts')}`,
      `const topics = { partitions: 4, maxMessageBytes: 8_388_608, retention: '7d' } as const`,
    ].join('\n')
    const sources = Object.entries({ ...Object.fromEntries(Object.entries(wrong).map(([name, [source]]) => [name, source])), good })
    for (const [name, source] of sources)
      await writeFile(
        join(folder, `${fileOf(name)}.ts`),
        `${header}\nexport const it = ${source}\nexport const used = [table, leads, chatSessions, topics, definePipeline]\n`,
      )
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: join(root, 'tsconfig.base.json'), compilerOptions: { types: [], lib: ['ESNext'] }, include: ['*.ts'] }),
    )
    output = await new Promise((resolve) => {
      execFile(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder, '--pretty', 'false'], (_, stdout, stderr) =>
        resolve(stdout + stderr),
      )
    })
  }, 60_000)

  afterAll(() => rm(folder, { recursive: true, force: true }))

  test.each(Object.entries(wrong))('%s', (name, [, message]) => {
    const errors = output.split('\n').filter((line) => line.includes(`${fileOf(name)}.ts(`))
    expect(errors, output).toHaveLength(1)
    expect(errors[0]).toContain(message)
  })

  test('a right one does', () => {
    expect(output).not.toContain('good.ts')
    expect(output).not.toContain('TS5')
  })
})

function fileOf(name: string): string {
  return name.replaceAll(' ', '-')
}
