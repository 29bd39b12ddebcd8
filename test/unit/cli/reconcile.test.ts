import { describe, expect, test } from 'vitest'
import { reconcile } from '../../../infra/cli/reconcile.ts'
import { endLines, interrupted, progressLine } from '../../../infra/cli/reconcile/words.ts'
import { runVerb } from '../../../infra/cli/run.ts'
import { describe as tell } from '../../../infra/local/fault.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { verdictText } from '../../../shared/engine/reconcile-verdict.ts'
import type { Finding, Outcome } from '../../../shared/ports/reconciliations.ts'

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = []
  const err: string[] = []
  const exit = await runVerb(
    { reconcile },
    { args, env: { AFLUENTE_HOME: '/nowhere/at/all', ...env }, out: (line) => out.push(line), err: (line) => err.push(line), describe: tell },
  )
  return { exit, out: out.join('\n'), err: err.join('\n') }
}

const nothing = { missing: 0, different: 0, extra: 0 }
const well: Outcome = {
  asOf: '2026-11-22T12:03:11.123456Z',
  rows: 1_000_000,
  sinks: [
    { sink: 'silver', ...nothing },
    { sink: 'index', ...nothing },
  ],
  keys: [],
  moving: 0,
  unopened: 0,
  mended: 0,
}

describe('npx afluente reconcile', () => {
  test('helps when asked', async () => {
    expect(await run(['reconcile', '--help'])).toMatchObject({ exit: 0, out: expect.stringContaining('--repair') as unknown })
  })

  test.each([
    [['nothing'], /'nothing'.*public\.leads, public\.chat_sessions.*Nothing was done/],
    [['leads', 'chat_sessions'], /One table at a time/],
    [['leads', '--mend'], /--mend/],
  ])('%j is wrong use', async (args, words) => {
    expect(await run(['reconcile', ...args])).toMatchObject({ exit: 2, out: '', err: expect.stringMatching(words) as unknown })
  })

  test('says what is missing of its settings, all at once', async () => {
    const { err, exit } = await run(['reconcile'], { SUPABASE_URL: 'https://a.supabase.co' })
    expect(exit).toBe(1)
    for (const name of ['SUPABASE_SERVICE_ROLE_KEY', 'SOURCE_DATABASE_URL', 'ANALYTICS_DATABASE_URL', 'KAFKA_BROKERS', 'ELASTICSEARCH_URL'])
      expect(err).toContain(name)
  })

  test('without a stack says what to do', async () => {
    expect(await run(['reconcile', '--repair'])).toMatchObject({ exit: 1, err: expect.stringContaining('npm start') as unknown })
  })
})

describe('a reconcile that ends before its verdict', () => {
  test('says that nothing was changed where the source does not answer', async () => {
    const cloud = {
      SUPABASE_URL: 'http://127.0.0.1:1',
      SUPABASE_SERVICE_ROLE_KEY: 'a-service-role-key',
      SOURCE_DATABASE_URL: 'postgres://reader:secret@127.0.0.1:1/source',
      ANALYTICS_DATABASE_URL: 'postgres://reader:secret@127.0.0.1:1/analytics',
      KAFKA_BROKERS: '127.0.0.1:1',
      ELASTICSEARCH_URL: 'http://127.0.0.1:1',
    }
    const { err, exit, out } = await run(['reconcile', 'leads', '--repair'], cloud)
    expect({ exit, out, err }).toEqual({
      exit: 1,
      out: '',
      err: '✗ The source can’t be asked: afluente.backlog: no answer from SUPABASE_URL. Nothing was changed.',
    })
  })

  const lost = new AfluenteError('unavailable', 'connection', 'No connection to the source database (ECONNRESET).')
  test.each([
    [false, 'public.leads: No connection to the source database (ECONNRESET). Nothing was changed.'],
    [
      true,
      'public.leads: No connection to the source database (ECONNRESET). Some of the repair may be sent: with --repair again it looks again, and sends the rest.',
    ],
  ])('tells what it has done by then: repairing %s', (repairing, line) => {
    expect(tell(interrupted(lost, { of: 'public.leads', repairing }))).toBe(line)
  })

  test('leaves a defect its trace', () => {
    const defect = new TypeError('undefined is not a function')
    expect(interrupted(defect, { of: 'public.leads', repairing: false })).toBe(defect)
  })
})

describe('a verdict in words', () => {
  test('has its numbers and its time', () => {
    expect(verdictText(well)).toBe('0 missing, 0 different, 0 extra of 1 000 000, as of 12:03:11')
    expect(verdictText({ ...well, mended: 3 })).toBe('0 missing, 0 different, 0 extra of 1 000 000, as of 12:03:11, 3 of them mended since')
    expect(verdictText(well, Date.parse('2026-11-23T00:00:00Z'))).toBe('0 missing, 0 different, 0 extra of 1 000 000, as of 2026-11-22 12:03:11')
    expect(verdictText({ ...well, unopened: 5, moving: 2 })).toBe(
      'at least 0 missing, 0 different, 0 extra of 1 000 000, 2 written too often to be judged, as of 12:03:11',
    )
  })

  test('names what was found and what became of it', () => {
    const found: readonly Finding[] = [
      { sink: 'silver', what: 'missing', key: '["a"]' },
      { sink: 'index', what: 'extra', key: '["b"]' },
    ]
    const before = endLines({
      table: 'public.leads',
      outcome: { ...well, sinks: [{ sink: 'silver', ...nothing, missing: 1 }], keys: found },
      found,
      repaired: false,
      ms: 1_000,
    })
    expect(before.join('\n')).toMatch(
      /✗ public\.leads: 1 missing.*\n +missing in silver: \["a"\]\n +extra in the index: \["b"\]\n +npx afluente reconcile public\.leads --repair/,
    )
    const after = endLines({
      table: 'public.leads',
      outcome: { ...well, sinks: [{ sink: 'index', ...nothing, extra: 1 }], keys: found.slice(1), mended: 1 },
      found,
      repaired: true,
      ms: 1_000,
    })
    expect(after.join('\n')).toMatch(/\["a"\], mended\n.*\["b"\], still so\n +1 of 2 mended.*\n.*dlq list.*trace public\.leads '\["b"\]'/s)
  })

  test('what moves says how far it is', () => {
    expect(progressLine('public.leads', 'reading all sides', 50, 200)).toBe('public.leads · reading all sides · 25 %')
    expect(progressLine('public.leads', 'waiting for the sinks', 1_200, null)).toBe('public.leads · waiting for the sinks · 1 200 left')
  })
})
