/** `npx afluente rebase`, and the deploy that does the same by itself. */
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rebase } from '../../../infra/cli/rebase.ts'
import { runVerb } from '../../../infra/cli/run.ts'
import { prepare } from '../../../infra/deploy/prepare.ts'
import { rebaseSource } from '../../../infra/deploy/rebase.ts'
import { describe as tell } from '../../../infra/local/fault.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { openSource, type Source } from '../../support/source.ts'

let postgres: TestPostgres
let source: Source

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(async () => {
  await source?.close()
  await postgres?.stop()
})
beforeEach(async () => {
  await source?.close()
  source = await openSource(postgres)
})

/** As a restore leaves it: what is noted is another cluster's. */
const move = () => source.run('update afluente.installation set system_identifier = system_identifier - 1')

async function run(args: readonly string[], url = source.database.ownerUrl) {
  const out: string[] = []
  const err: string[] = []
  const env = { SOURCE_DATABASE_URL: url, AFLUENTE_HOME: '/nowhere/at/all' }
  const exit = await runVerb({ rebase }, { args: ['rebase', ...args], env, out: (line) => out.push(line), err: (line) => err.push(line), describe: tell })
  return { exit, out: out.join('\n'), err: err.join('\n') }
}

function as(user: string, password = ''): string {
  const url = new URL(source.database.url)
  url.username = user
  url.password = password
  return url.href
}

describe('npx afluente rebase', () => {
  test('says that there is nothing to do, and does nothing', async () => {
    const before = await source.value('select last_value from afluente.version')
    expect(await run([])).toMatchObject({ exit: 0, out: expect.stringContaining('Nothing to do') as unknown, err: '' })
    expect(JSON.parse((await run(['--json'])).out)).toEqual({ status: 'unchanged' })
    expect(await source.value('select last_value from afluente.version')).toBe(before)
  })

  test('tells what it found, what it did, and what comes next', async () => {
    await source.run(`insert into public.leads (name) values ('Ana'), ('Rui')`)
    await move()
    const { exit, out } = await run([])
    expect(exit).toBe(0)
    expect(out).toMatch(/into another cluster/)
    expect(out).toMatch(/versions lifted from \d{16} to \d{16}; 2 change\(s\) that waited got new ones/)
    expect(out).toMatch(/marked for reconciliation.*public\.chat_sessions, public\.leads/)
    expect(out).toMatch(/Capture goes on/)
  })

  test('with --json is one JSON value', async () => {
    await move()
    expect(JSON.parse((await run(['--json'])).out)).toEqual({
      status: 'rebased',
      reason: expect.stringContaining('another cluster') as unknown,
      from: expect.any(Number) as unknown,
      to: expect.any(Number) as unknown,
      changes: 0,
      tables: ['public.chat_sessions', 'public.leads'],
    })
  })

  test('may be called by the service role', async () => {
    await move()
    await (await source.connect('superuser')).run('alter role service_role login')
    expect(await run([], as('service_role'))).toMatchObject({ exit: 0, err: '' })
  })

  test.each([['--force'], ['leads'], ['--json', 'yes']])('takes nothing else (%s): wrong use', async (...args) => {
    await move()
    expect(await run(args)).toMatchObject({ exit: 2, out: '' })
    expect(await source.value('select afluente.moved(i) is null from afluente.installation i')).toBe('f')
  })

  test('names who holds the outbox, gives up after a few seconds, and has changed nothing', async () => {
    await move()
    const user = await source.connect()
    await user.run(`set application_name = 'night import'; begin; insert into public.leads (name) values ('S3CRET')`)
    const before = await source.value('select last_value from afluente.version')
    const began = performance.now()
    const { err, exit, out } = await run([])
    expect(performance.now() - began).toBeLessThan(15_000)
    expect([exit, out]).toEqual([1, ''])
    expect(err).toMatch(/nothing was changed .*stays open.*process \d+ \(role project_owner, night import, idle in transaction, open since .*run this again/)
    expect(err).not.toContain('S3CRET')
    expect(await source.value('select last_value from afluente.version')).toBe(before)
    await user.run('commit')
    expect((await run([])).exit).toBe(0)
  })

  test('names a prepared transaction that holds the outbox', async () => {
    await move()
    const user = await source.connect()
    await user.run(`begin; insert into public.leads (name) values ('Ana'); prepare transaction 'of the shop'`)
    try {
      expect((await run([])).err).toContain(`the prepared transaction 'of the shop' of project_owner`)
    } finally {
      await user.run(`rollback prepared 'of the shop'`)
    }
  })

  test('tells a role that may not, a schema that is missing or old, a wrong user, database or URL, and a server that is away; never the password', async () => {
    await (await source.connect('superuser')).run('alter role anon login')
    const old = await openSource(postgres)
    await old.run('drop function afluente.rebase()')
    const cases: readonly (readonly [string, RegExp])[] = [
      [as('anon', 'topsecret'), /may not call afluente\.rebase\(\): use the role that applied/],
      [postgres.url, /no schema afluente: apply supabase\/migrations/],
      [old.database.ownerUrl, /no afluente\.rebase\(\): apply supabase\/migrations/],
      [as('nobody', 'topsecret'), /refuses the user/],
      [source.database.url.replace(/\w+$/, 'topsecretless'), /is not on that server/],
      ['postgres://me:topsecret@127.0.0.1:1/supabase', /No connection to the source database: .*ECONNREFUSED.*Check SOURCE_DATABASE_URL/],
      ['topsecret', /is no URL of a Postgres/],
      ['https://me:topsecret@example.com', /is no URL of a Postgres/],
    ]
    for (const [url, words] of cases) {
      const { err, exit, out } = await run([], url)
      expect([exit, out], err).toEqual([1, ''])
      expect(err).toMatch(words)
      expect(err).not.toMatch(/topsecret(?!less)/)
      expect(err).not.toMatch(/\n {4}at /)
    }
    await old.close()
  })

  test('without SOURCE_DATABASE_URL goes to the stack that runs here; says so when none does', async () => {
    expect(existsSync('/nowhere/at/all')).toBe(false)
    expect(await run([], '')).toMatchObject({ exit: 1, err: expect.stringMatching(/SOURCE_DATABASE_URL is not set.*npm start/) as unknown })
  })
})

describe('a deploy', () => {
  const deploy = async () => {
    const said: string[] = []
    const nowhere = { analyticsUrl: 'postgres://me@127.0.0.1:1/analytics', kafka: { brokers: ['127.0.0.1:1'], ssl: false, ca: undefined, sasl: undefined } }
    // The source is all that is here: the other parts are told as missing.
    await prepare({ pipeline, ...nowhere, sourceUrl: source.database.ownerUrl, onStep: (text) => said.push(text) }).catch(() => undefined)
    return said.filter((line) => line.startsWith('source database: '))
  }

  test('rebases a restored source by itself, and says what it did; of one that is what it was it says nothing', async () => {
    await move()
    const said = await deploy()
    expect(said.join('\n')).toMatch(/another cluster[\s\S]*versions lifted from[\s\S]*marked for reconciliation/)
    expect(await rebaseSource(source.database.ownerUrl)).toEqual({ status: 'unchanged' })
    expect((await deploy()).join('\n')).not.toMatch(/lifted|marked|unchanged/)
  })

  test('lifts the versions to the clock, where nothing tells of a restore', async () => {
    await source.run(`select setval('afluente.version', last_value - 3600000000) from afluente.version`)
    await deploy()
    expect(await source.value('select abs(last_value - extract(epoch from clock_timestamp()) * 1000000) < 60000000 from afluente.version')).toBe('t')
  })

  test('leaves a source alone that differs from the definition', async () => {
    await move()
    await source.run('alter table public.leads rename column company to firm')
    expect(await deploy()).toEqual([])
    expect(await source.value('select afluente.moved(i) is null from afluente.installation i')).toBe('f')
  })
})
