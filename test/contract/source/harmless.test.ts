/** The doorbell and the sweep: they ring when there is work and nobody is at it, and are missed by nobody where they can't. */
import { describe, expect, it } from 'vitest'
import { backlog, held, freshSource, release } from '../../support/source.ts'

const source = freshSource()

const insertLead = () => source.run(`insert into public.leads (name) values ('Ana')`)

async function withVault(): Promise<void> {
  await source.run(
    `select vault.create_secret('https://project.example/functions/v1/capture', 'afluente_capture_url'); select vault.create_secret('the secret', 'afluente_webhook_secret')`,
  )
}
async function rings(): Promise<number> {
  const superuser = await source.connect('superuser')
  return Number(await superuser.value('select count(*) from net.http_request_queue'))
}

describe('the doorbell', () => {
  it('rings with the secret, while nobody holds the lease, and at most once in 200 ms', async () => {
    await withVault()
    await source.run(`begin; insert into public.leads (name) values ('1'); insert into public.leads (name) values ('2'); commit`)
    const superuser = await source.connect('superuser')
    expect(
      await superuser.run(`select method, url, headers, convert_from(body, 'UTF8') as body, timeout_milliseconds as timeout from net.http_request_queue`),
    ).toEqual([
      {
        method: 'POST',
        url: 'https://project.example/functions/v1/capture',
        headers: '{"Content-Type": "application/json", "Authorization": "Bearer the secret"}',
        body: '{}',
        timeout: '5000',
      },
    ])
  })

  it('is silent while somebody is at work, and rings again when they have let go', async () => {
    await withVault()
    const { epoch } = await held(source, 'a')
    await insertLead()
    expect(await rings()).toBe(0)
    await release(source, epoch)
    await insertLead()
    expect(await rings()).toBe(1)
  })

  it('does not ring for a transaction that is rolled back', async () => {
    await withVault()
    await source.run(`begin; insert into public.leads (name) values ('1'); rollback`)
    expect(await rings()).toBe(0)
  })

  it.each([
    ['without pg_net', 'drop schema net cascade'],
    ['without Vault', 'drop schema vault cascade'],
    [
      'when pg_net raises',
      `create or replace function net.http_post(url text, body jsonb default '{}', params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds int default 5000) returns bigint language plpgsql as $$ begin raise exception 'no'; end $$`,
    ],
    ['when the address was never stored', `delete from vault.secrets`],
  ])('%s nothing is rung and nothing fails', async (_, sabotage) => {
    await withVault()
    const superuser = await source.connect('superuser')
    await superuser.run(sabotage)
    await insertLead()
    await source.run('select afluente.ring(); select afluente.sweep()')
    expect(await source.outbox('public.leads')).toHaveLength(1)
    expect((await backlog(source)).failures).toBe(0)
  })
})

describe('the sweep', () => {
  it('rings when changes have waited for two seconds and nobody is at work', async () => {
    await insertLead()
    await withVault()
    expect(await source.value('select afluente.sweep()')).toBe('f')
    await source.run(`update afluente.outbox set occurred_at = occurred_at - interval '3 seconds'`)
    const { epoch } = await held(source, 'a')
    expect(await source.value('select afluente.sweep()')).toBe('f')
    await release(source, epoch)
    expect(await source.value('select afluente.sweep()')).toBe('t')
    expect(await rings()).toBe(1)
  })

  it('is scheduled where pg_cron is, and its absence is no fault', async () => {
    expect(await source.run('select jobname, schedule, command, active from cron.job')).toEqual([
      { jobname: 'afluente-sweep', schedule: '5 seconds', command: 'select afluente.sweep()', active: 't' },
    ])
    const superuser = await source.connect('superuser')
    await superuser.run('drop schema cron cascade')
    expect(await source.value('select afluente.schedule_sweep()')).toBe('f')
  })
})

describe('the tables that are captured from the start', () => {
  it('keep updated_at, and check what they are given', async () => {
    await source.run(`insert into public.leads (name, updated_at) values ('Ana', '2020-01-01')`)
    await source.run(`update public.leads set score = 100`)
    expect(await source.value(`select updated_at > now() - interval '1 minute' from public.leads`)).toBe('t')
    for (const wrong of [`email = 'nobody'`, 'score = 101', `status = 'x'`])
      await expect(source.run(`update public.leads set ${wrong}`)).rejects.toThrow('violates check constraint')
    for (const wrong of [`channel = 'fax'`, 'rating = 6', `status = 'x'`])
      await expect(source.run(`insert into public.chat_sessions default values; update public.chat_sessions set ${wrong}`)).rejects.toThrow(
        'violates check constraint',
      )
  })
})
