/** Deletes of keys that a sink has and the source has not. */
import { beforeEach, describe, expect, it } from 'vitest'
import { assertDeletesKillNoRow } from '../../support/deletes-properties.ts'
import { mutate } from '../../support/mutate.ts'
import { acknowledge, claim, drawDeletes, freshSource, held, sendDeletes } from '../../support/source.ts'

const source = freshSource()
const items = 'public.items'

beforeEach(async () => {
  await source.run(`create table ${items} (id int primary key, name text); select afluente.capture_table('${items}')`)
  await source.run(`insert into ${items} values (1, 'a')`)
  await source.emptyOutbox()
})

describe('a delete of what the source has not', () => {
  it('goes out under the version that was drawn for it; a row that is there is named and left alone', async () => {
    const drawn = await drawDeletes(source, items, ['[9]', '[1]', '[9]'])
    expect(drawn.versions.map(([key]) => key).toSorted()).toEqual(['[1]', '[9]'])
    expect(await source.outbox()).toEqual([])
    expect(await sendDeletes(source, items, drawn.fence, drawn.versions)).toEqual({ status: 'sent', sent: 1, there: ['[1]'] })
    const version = drawn.versions.find(([key]) => key === '[9]')?.[1]
    expect(await source.outbox()).toMatchObject([{ version, source_table: items, topic: 'afluente.public.items', key: '[9]', op: 'delete', before: null, after: null }]) // prettier-ignore
  })

  it('waits for whoever may have drawn a lower version, and for nobody who came later', async () => {
    const user = await source.connect()
    await user.run(`begin; insert into ${items} values (9, 'open')`)
    const drawn = await drawDeletes(source, items, ['[9]', '[8]'])
    expect(await sendDeletes(source, items, drawn.fence, drawn.versions)).toEqual({ status: 'early' })
    const later = await source.connect()
    await later.run(`begin; insert into ${items} values (7, 'later')`)
    await user.run('commit')
    expect(await sendDeletes(source, items, drawn.fence, drawn.versions)).toEqual({ status: 'sent', sent: 1, there: ['[9]'] })
    await later.run('rollback')
    expect((await source.outbox()).map(({ key, op }) => [key, op])).toEqual([
      ['[9]', 'insert'],
      ['[8]', 'delete'],
    ])
  })

  it('waits for a prepared transaction as well', async () => {
    await source.run(`begin; insert into ${items} values (9, 'open'); prepare transaction 'insert of nine'`)
    const drawn = await drawDeletes(source, items, ['[9]'])
    expect(await sendDeletes(source, items, drawn.fence, drawn.versions)).toEqual({ status: 'early' })
    await source.run(`commit prepared 'insert of nine'`)
    expect(await sendDeletes(source, items, drawn.fence, drawn.versions)).toEqual({ status: 'sent', sent: 0, there: ['[9]'] })
  })

  it('a row that comes after the version was drawn outranks it', async () => {
    const drawn = await drawDeletes(source, items, ['[9]'])
    expect(await sendDeletes(source, items, drawn.fence, drawn.versions)).toMatchObject({ sent: 1 })
    await source.run(`insert into ${items} values (9, 'new')`)
    expect((await source.outbox()).map(({ op }) => op)).toEqual(['delete', 'insert'])
  })

  it('sent twice it is the same change', async () => {
    const drawn = await drawDeletes(source, items, ['[9]'])
    await sendDeletes(source, items, drawn.fence, drawn.versions)
    await sendDeletes(source, items, drawn.fence, drawn.versions)
    expect(await source.outbox()).toHaveLength(1)
  })

  it('rings the doorbell where nobody is at work', async () => {
    const superuser = await source.connect('superuser')
    await superuser.run(
      `select vault.create_secret('http://127.0.0.1:9/', 'afluente_capture_url'); select vault.create_secret('0123456789abcdef', 'afluente_webhook_secret'); select setval('afluente.last_rung', 0)`,
    )
    const drawn = await drawDeletes(source, items, ['[9]'])
    await sendDeletes(source, items, drawn.fence, drawn.versions)
    expect(Number(await superuser.value('select last_value from afluente.last_rung'))).toBeGreaterThan(0)
  })

  it.each([
    ['a table that is not captured', `select afluente.draw_deletes('public.plain', '{[1]}')`, /plain is not captured/],
    ['no table', `select afluente.send_deletes(null, '3', '{[1]}', '{1}')`, /null is not captured/],
    ['keys without versions', `select afluente.send_deletes('${items}', '3', '{[1]}', '{}')`, /no keys and versions that draw_deletes/],
    [
      'a version that nobody has drawn',
      `select afluente.send_deletes('${items}', '3', '{[1]}', '{9007199254740990}')`,
      /no keys and versions that draw_deletes/,
    ],
    ['a key of another type', `select afluente.send_deletes('${items}', '3', array['["x"]'], '{1}')`, /invalid input syntax for type integer/],
    ['an old snapshot', `begin isolation level repeatable read; select afluente.send_deletes('${items}', '3', '{[1]}', '{1}')`, /old snapshot/],
  ])('is refused for %s', async (_, statement, reason) => {
    const session = await source.connect()
    await session.run('create table public.plain (id int primary key)')
    await expect(session.run(statement)).rejects.toThrow(reason)
    expect(await source.outbox()).toEqual([])
  })
})

describe('an old version in the outbox', () => {
  /** Draws, and lets capture settle the shard above what was drawn. */
  const settledAbove = async () => {
    await source.run(`insert into ${items} values (2, 'b')`)
    const drawn = await drawDeletes(source, items, ['[9]'])
    const version = drawn.versions[0]?.[1] ?? 0
    for (let turn = 0; Number(await source.value('select settled from afluente.shards')) < version; turn += 1) {
      if (turn > 20) throw new Error('the shard was never settled')
      const { epoch, rows } = await held(source, 'capture', { lease: '1 millisecond' })
      if (rows.length > 0) await acknowledge(source, epoch, rows.map(([found]) => found)) // prettier-ignore
    }
    return drawn
  }
  const found = async () => {
    const claimed = await claim(source, 'capture')
    return claimed.status === 'held' ? claimed.rows.map(([, , , key, op]) => [key, op]) : claimed
  }

  it('is found by capture, though it had settled above it', async () => {
    const drawn = await settledAbove()
    await sendDeletes(source, items, drawn.fence, drawn.versions)
    expect(await found()).toEqual([['[9]', 'delete']])
    expect(JSON.parse((await source.value('select afluente.drained()')) ?? '')).toMatchObject({ left: 1 })
  })

  it('would not be, were the shard left as it was', async () => {
    await mutate(source, 'afluente.send_deletes', 'settled = least(s.settled, d.version - 1)', 'settled = s.settled')
    const drawn = await settledAbove()
    await sendDeletes(source, items, drawn.fence, drawn.versions)
    expect(await found()).toEqual([])
  })

  /** Somebody settles the shard, and has looked what lies in it before the delete came. */
  const settleBeside = async () => {
    const drawn = await drawDeletes(source, items, ['[9]'])
    const version = drawn.versions[0]?.[1] ?? 0
    await source.run(`update afluente.shards set settled = 1, horizon_version = ${version + 10}, horizon_xid = '3'`)
    const [sender, settler] = [await source.connect(), await source.connect()]
    await sender.run('begin')
    await sendDeletes(sender, items, drawn.fence, drawn.versions)
    const settling = settler.run('select afluente.settle(0, null)')
    const waits = `select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%settle(0%'`
    while ((await source.value(waits)) !== '1') await source.run('select pg_sleep(0.01)')
    await sender.run('commit')
    await settling
    return found()
  }

  it('is found though somebody settles the shard in the same moment', async () => {
    expect(await settleBeside()).toEqual([['[9]', 'delete']])
  })

  it('would not be, were what has changed meanwhile not looked at', async () => {
    await mutate(source, 'afluente.settle', /and s\.settled = former\.settled[^;]*;/g, ';')
    expect(await settleBeside()).toEqual([])
  })
})

describe('beside writers of the same few keys', () => {
  it('no row is killed', async () => {
    await assertDeletesKillNoRow(source)
  })

  const guard = 'pg_snapshot_xmin(pg_current_snapshot()) <= fence::xid8'
  it.each([
    ['without waiting for those who draw lower versions', () => mutate(source, 'afluente.send_deletes', guard, 'false')],
    ['without a look once they have ended', () => mutate(source, 'afluente.send_deletes', 'where r.image is null', 'where true')],
    [
      'with a fence from before the versions',
      () => mutate(source, 'afluente.draw_deletes', 'pg_current_xact_id()::text', '(pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text'),
    ],
  ])('%s rows would be', async (_, sabotage) => {
    await expect(assertDeletesKillNoRow(source, { sabotage })).rejects.toThrow(/kills a row|other rows/)
  })
})
