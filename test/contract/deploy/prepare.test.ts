import { describe, expect, test } from 'vitest'
import { prepareSinks } from '../../../infra/local/prepare-databases.ts'
import { describe as told } from '../../../infra/local/fault.ts'
import { checkSilver } from '../../../infra/deploy/check-silver.ts'
import { migrate } from '../../../infra/deploy/migrate.ts'
import { prepare } from '../../../infra/deploy/prepare.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import { realPostgres } from '../sink/postgres-server.ts'

const postgres = realPostgres()

const nowhere = {
  pipeline,
  analyticsUrl: 'postgres://me:topsecret@127.0.0.1:1/analytics',
  kafka: { brokers: ['127.0.0.1:1'], ssl: false, ca: undefined, sasl: undefined },
  onStep: () => {},
}

describe('preparation', () => {
  test('of a wrong definition tells all its faults before anything is connected', async () => {
    const wrong = { ...pipeline, tables: [], topics: { ...pipeline.topics, partitions: 0 } }
    await expect(prepare({ ...nowhere, pipeline: wrong })).rejects.toMatchObject({
      kind: 'misconfigured',
      code: 'definition',
      message: expect.stringMatching(/partitions[\s\S]*there is no topic/),
    })
  })

  test('names every part that can not be reached, and no password', async () => {
    const fault = await prepare(nowhere).catch((error: unknown) => error)
    expect(fault).toMatchObject({ kind: 'unavailable', message: expect.stringMatching(/2 parts[\s\S]*analytics[\s\S]*127\.0\.0\.1:1/) })
    expect(String(fault)).not.toContain('topsecret')
  })

  test('makes no alias without the floors: while the analytics database is away the indices wait, and that is told once', async () => {
    const fault = await prepare({ ...nowhere, elasticsearch: { url: 'http://127.0.0.1:1' } }).catch((error: unknown) => error)
    expect(fault).toMatchObject({ message: expect.stringMatching(/^2 parts/) })
    expect(String(fault)).not.toContain('Elasticsearch')
  })

  test('changes nothing when the source differs from the definition, and tells every difference', async () => {
    const analyticsUrl = await postgres.emptyDatabase()
    const fault = await prepare({ ...nowhere, analyticsUrl, sourceUrl: await postgres.emptyDatabase() }).catch((error: unknown) => error)
    expect(fault).toMatchObject({
      kind: 'misconfigured',
      message: expect.stringMatching(/differ in 3 point[\s\S]*apply supabase\/migrations[\s\S]*public\.leads: the source has no such table/),
    })
    const client = await postgres.client(analyticsUrl)
    expect((await client.query("select to_regnamespace('ops') as ops")).rows).toEqual([{ ops: null }])
  })

  test('leaves silver alone where a table of it has another key than its definition, and tells what mends it', async () => {
    const analyticsUrl = await postgres.analytics()
    const client = await postgres.client(analyticsUrl)
    const again = () => checkSilver(analyticsUrl, pipeline.tables)
    await again()
    await client.query('alter table silver.leads drop constraint leads_pkey, add primary key (id, name)')
    const fault = await prepare({ ...nowhere, analyticsUrl }).catch((error: unknown) => error)
    // Alone: no other part was begun.
    expect(fault).toMatchObject({ code: 'silver-key', message: expect.stringContaining('silver.leads is keyed by id, name, public.leads is keyed by id.') })
    const [, mend = ''] = /in the analytics database, (.*); then run this again/.exec(String(fault)) ?? []
    await client.query(mend)
    await again()
    const remade = await migrate(analyticsUrl)
    expect(remade).toEqual(expect.arrayContaining(['0300_silver_leads.sql', '0400_bi_leads.sql']))
    expect(remade.every((name) => name >= '0300')).toBe(true)
    await again()
    await client.query('alter table silver.leads drop constraint leads_pkey')
    await expect(again()).rejects.toMatchObject({ code: 'silver-key', message: expect.stringContaining('silver.leads has no primary key') })
  })

  test('a source that can not be reached is said without its password, and nothing is changed', async () => {
    const analyticsUrl = await postgres.emptyDatabase()
    const fault = await prepare({ ...nowhere, analyticsUrl, sourceUrl: 'postgres://me:topsecret@127.0.0.1:1/supabase' }).catch((error: unknown) => error)
    expect(fault).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('source database') })
    expect(String(fault)).not.toContain('topsecret')
    const client = await postgres.client(analyticsUrl)
    expect((await client.query("select to_regnamespace('ops') as ops")).rows).toEqual([{ ops: null }])
  })

  test('of the local stack compares its source as well, and says it without a stack trace', async () => {
    const [source, analytics] = [await postgres.emptyDatabase(), await postgres.emptyDatabase()]
    const away = 'http://127.0.0.1:1'
    const fault = await prepareSinks({
      places: {
        source,
        analytics,
        chatwoot: analytics,
        chatwootReader: analytics,
        brokers: ['127.0.0.1:1'],
        elasticsearch: away,
        supabase: away,
        edge: away,
        worker: away,
        workerControl: away,
      },
      passOn: {},
      report: () => {},
      signal: new AbortController().signal,
    }).catch((error: unknown) => error)
    expect(told(fault)).toMatch(/^The source database and shared\/pipeline\.ts differ[\s\S]*then run this again\.$/)
  })
})
