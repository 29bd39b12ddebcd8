/** What others ship in place of Afluente's guards, and by what the random schemas find it. */
import { plain, type Table } from './schema.ts'
import type { Mutant } from './world.ts'
import type { Source } from '../source.ts'

const ENDS_APART = /the stream ends with|is in the stream and not in the table|is in the table and not in the stream/

export const mutants: Readonly<Record<string, { readonly mutant: Mutant; readonly found: RegExp }>> = {
  'images from the transition tables': { mutant: { inTable: naiveTriggers }, found: ENDS_APART },
  'the session’s own settings': {
    mutant: {
      inTable: async (source, table) => {
        const name = await functionOf(source, table)
        await source.run(`alter function afluente.${name}() reset timezone; alter function afluente.${name}() reset datestyle;
          alter function afluente.${name}() reset extra_float_digits; alter function afluente.${name}() reset bytea_output`)
      },
    },
    found: ENDS_APART,
  },
  'a TRUNCATE looked at when it is over': {
    mutant: {
      inTable: async (source, { name }) => {
        const triggers = await source.run(
          `select pg_get_triggerdef(t.oid) as definition, t.tgrelid::regclass::text as table from pg_trigger t
          where t.tgname = 'afluente_truncate' and (t.tgrelid = $1::regclass or t.tgrelid in (select relid from pg_partition_tree($1::regclass)))`,
          [name],
        )
        for (const { definition, table } of triggers) {
          await source.run(`drop trigger afluente_truncate on ${table ?? ''}; ${definition?.replace('BEFORE TRUNCATE', 'AFTER TRUNCATE') ?? ''};
            alter table ${table ?? ''} enable always trigger afluente_truncate`)
        }
      },
    },
    found: ENDS_APART,
  },
  'a sequence that hands out blocks': {
    mutant: { inDatabase: async (source) => void (await source.run('alter sequence afluente.version cache 50')) },
    // Also what says how far down a shard is empty is wrong then.
    found: new RegExp(`${ENDS_APART.source}|changes stay in the outbox`),
  },
  'triggers that sleep while a replica replays': {
    mutant: {
      inTable: async (source, { name, partitions }) => {
        for (const table of [name, ...partitions]) {
          const triggers = ['insert', 'update', 'delete', 'truncate'].map((on) => `enable trigger afluente_${on}`)
          await source.run(`alter table ${table} ${triggers.join(', ')}`)
        }
      },
    },
    found: ENDS_APART,
  },
  'rows moved by a MERGE that only transition tables tell of': {
    mutant: {
      inTable: async (source, { name, partitions }) => {
        if (partitions.length > 0) await dropRowTriggers(source, name, 'moved_out', 'moved_in')
      },
    },
    found: ENDS_APART,
  },
  'a MERGE that tells of its last insert in place of its updates': {
    mutant: {
      inTable: async (source, { name, partitions }) => {
        if (partitions.length > 0) await dropRowTriggers(source, name, 'never')
      },
    },
    found: ENDS_APART,
  },
  'an acknowledgement under any epoch': {
    mutant: { inDatabase: (source) => replaced(source, 'afluente.acknowledge', 'present is distinct from acknowledge.epoch', 'false') },
    found: /A paused reader's acknowledgement/,
  },
  'keys that are equal, whatever they look like': {
    mutant: {
      inDatabase: (source) => replaced(source, 'afluente.trigger_source', "' and {key text} = touched.key'", "''"),
    },
    found: ENDS_APART,
  },
  'excluded columns that are forgotten': {
    mutant: {
      inDatabase: (source) => replaced(source, 'afluente.without_columns', 'on to_json(c.key)::text not in', 'on true or to_json(c.key)::text not in'),
    },
    found: /excluded column/,
  },
}

/** They are named for their table. */
async function dropRowTriggers(source: Source, table: string, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const trigger = await source.value('select quote_ident(tgname) from pg_trigger where tgrelid = $1::regclass and tgname like $2', [
      table,
      `afluente\\_${name}\\_%`,
    ])
    await source.run(`drop trigger ${trigger ?? name} on ${table}`)
  }
}

async function functionOf(source: Source, table: Table): Promise<string> {
  return (await source.value('select quote_ident(function_name) from afluente.captured_tables where table_oid = $1::regclass', [table.name])) ?? ''
}

/** The function must hold the text, or its mutant would prove nothing. */
async function replaced(source: Source, name: string, from: string, to: string): Promise<void> {
  const definition = (await source.value(`select pg_get_functiondef('${name}'::regproc)`)) ?? ''
  const mutant = definition.replaceAll(from, () => to)
  if (mutant === definition) throw new Error(`${name} holds nothing like ${from}`)
  await source.run(mutant)
}

/** One change a row of the transition table, its image taken from there, under the settings that the real one fixes. */
async function naiveTriggers(source: Source, { name, plainName, keys, secret, withBefore, partitions }: Table): Promise<void> {
  const key = `jsonb_build_array(${keys.map((column) => `r.${column.name}`).join(', ')})::text`
  const image = secret === undefined ? 'row_to_json(r.*)' : `afluente.without_columns(row_to_json(r.*), array['${plain(secret)}'])`
  const quoted = `'${plainName.replaceAll("'", "''")}'`
  const write = (rows: string, op: string, before: string, after: string, where = '') => `
    insert into afluente.outbox (version, source_table, topic, key, shard, op, before, after, occurred_at)
    select nextval('afluente.version'), ${quoted}, 'fuzz', ${key}, afluente.shard_of(${key}, (select last_value from afluente.shard_count)),
      '${op}', ${before}, ${after}, now() from ${rows} r ${where};`
  const gone = `where ${key} not in (select ${key} from afluente_new r)`
  const body = `
    if tg_op = 'INSERT' then ${write('afluente_new', 'insert', 'null', image)}
    elsif tg_op = 'DELETE' then ${write('afluente_old', 'delete', image, 'null')}
    else ${write('afluente_old', 'delete', image, 'null', gone)} ${write('afluente_new', withBefore ? 'insert' : 'update', 'null', image)}
    end if; return null;`
  const settings = `set search_path = '' set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set extra_float_digits = 1 set bytea_output = 'hex'`
  await source.run(`create or replace function fuzz."naive ${plainName.replaceAll('"', '""')}"() returns trigger
    language plpgsql security definer ${settings} as $naive$ begin ${body} end $naive$`)
  for (const table of [name, ...partitions]) {
    for (const [on, referencing] of [
      ['insert', 'new table as afluente_new'],
      ['update', 'old table as afluente_old new table as afluente_new'],
      ['delete', 'old table as afluente_old'],
    ]) {
      await source.run(`create or replace trigger afluente_${on} after ${on} on ${table} referencing ${referencing}
        for each statement execute function fuzz."naive ${plainName.replaceAll('"', '""')}"(); alter table ${table} enable always trigger afluente_${on}`)
    }
  }
}
