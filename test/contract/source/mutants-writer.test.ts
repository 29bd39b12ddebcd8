/** The guards around whoever writes, each taken out: then the property it guards must fail. */
import { describe, expect, it } from 'vitest'
import { mutate } from '../../support/mutate.ts'
import { freshSource } from '../../support/source.ts'
import {
  assertExcludedStays,
  assertFailuresQuoteNobody,
  assertNothingIsNoticed,
  assertOldTextsEnd,
  assertOrderedWritersNeverDeadlock,
  assertReplicasAreCaptured,
  assertRingingWaitsForNobody,
  assertSearchPathIsIgnored,
  assertSettingsDontMatter,
} from '../../support/writer-properties.ts'

const source = freshSource()

const makeT = (options = '') => source.run(`create table public.t (id int primary key, n int, name text); select afluente.capture_table('public.t'${options})`)
const makePeople = () =>
  source.run(
    `create table public.people (id int primary key, secret text, name text); select afluente.capture_table('public.people', exclude => array['secret'], with_before => true)`,
  )

describe('a mutant', () => {
  it.each([
    ['timezone', 'UTC'],
    ['datestyle', 'ISO, YMD'],
    ['intervalstyle', 'postgres'],
    ['extra_float_digits', '1'],
    ['bytea_output', 'hex'],
  ])('with the session’s own %s: keys depend on who wrote', async (setting, value) => {
    await mutate(source, 'afluente.trigger_source', new RegExp(`set ${setting} = '?${value}'?\\n`, 'g'), '')
    await expect(assertSettingsDontMatter(source)).rejects.toThrow('the key is')
  })

  it('whose triggers are enabled, but not always: what a replica replays is lost', async () => {
    await mutate(source, 'afluente.capture_table', 'enable always trigger', 'enable trigger')
    await makeT()
    await expect(assertReplicasAreCaptured(source)).rejects.toThrow('was captured []')
  })

  it('that sends whole rows: the excluded column leaves', async () => {
    await mutate(source, 'afluente.trigger_source', 'afluente.without_columns(row_to_json(r.*), hidden)', 'row_to_json(r.*)')
    await makePeople()
    await expect(assertExcludedStays(source)).rejects.toThrow('the excluded column is in')
  })

  it('that sends whole rows at a TRUNCATE: the excluded column leaves', async () => {
    await mutate(source, 'afluente.capture_truncate', 'afluente.without_columns(row_to_json(r.*), $2)', 'row_to_json(r.*)')
    await makePeople()
    await expect(assertExcludedStays(source)).rejects.toThrow('the excluded column is in')
  })

  it('that knows excluded columns by name: a new name lets one out', async () => {
    await mutate(source, 'afluente.hidden_columns', 'a.attnum = any (hidden_columns.numbers)', `a.attname = 'secret'`)
    await makePeople()
    await expect(assertExcludedStays(source)).rejects.toThrow('the excluded column is in')
  })

  it('that notes every failure in words: a row’s values are in them', async () => {
    await mutate(source, 'afluente.note_failure', /case when left\(code, 2\).*end\n/g, `code || ': ' || message\n`)
    await expect(assertFailuresQuoteNobody(source)).rejects.toThrow('private')
  })

  it.each(['afluente.trigger_source', 'afluente.capture_truncate'])('that notes a failure without a net (%s): the user’s statement fails', async (name) => {
    await mutate(source, name, /when others then\n +null;/g, 'when no_data_found then null;')
    await makeT()
    await expect(assertNothingIsNoticed(source)).rejects.toThrow('note_failure')
  })

  it('that waits at the doorbell for as long as it takes: whoever locks its queue stops all writers', async () => {
    await makeT()
    await mutate(source, 'afluente.ring', /^ SET lock_timeout TO .*\n/gm, '')
    await expect(assertRingingWaitsForNobody(source)).rejects.toThrow('statement timeout')
  })

  it('with an empty search path: temporary namesakes of the catalog come first', async () => {
    await mutate(source, 'afluente.hidden_columns', /^ SET search_path TO .*\n/gm, ` SET search_path TO ''\n`)
    await makeT(`, exclude => array['name']`)
    await expect(assertSearchPathIsIgnored(source)).rejects.toThrow('a search path made of it')
  })

  it('that counts in a row a table: writers who took rows in one order deadlock', async () => {
    await mutate(
      source,
      'afluente.trigger_source',
      'moment := clock_timestamp();',
      `moment := clock_timestamp(); update afluente.captured_tables c set failures = c.failures where c.schema_name || '.' || c.table_name = {name};`,
    )
    await expect(assertOrderedWritersNeverDeadlock(source)).rejects.toThrow('deadlock detected')
  })

  it('that finds rows by equal keys, whatever their text: the old text lives on', async () => {
    await mutate(source, 'afluente.trigger_source', 'case when prints_alike then', 'case when true then')
    await expect(assertOldTextsEnd(source)).rejects.toThrow('the stream ends with')
  })
})

describe('without a mutant', () => {
  it('every one of these holds', async () => {
    await makePeople()
    await assertExcludedStays(source)
    await assertSettingsDontMatter(source)
    await assertOldTextsEnd(source)
    await makeT(`, exclude => array['name']`)
    await source.emptyOutbox()
    await assertReplicasAreCaptured(source)
    await source.run('delete from afluente.outbox; truncate public.t')
    await assertSearchPathIsIgnored(source)
    await assertRingingWaitsForNobody(source)
    await source.run('delete from public.t')
    await assertOrderedWritersNeverDeadlock(source)
    await source.run(`delete from afluente.outbox`)
    await assertFailuresQuoteNobody(source)
    await expect(assertNothingIsNoticed(source)).resolves.toBeUndefined()
  })
})
