/** Users' own triggers, which write the very row again, or others, before and after Afluente's look at it. */
import { anyValue, SCHEMA } from './kinds.ts'
import type { Random } from './random.ts'
import type { Table } from './schema.ts'

/** The statements that make some triggers of a table, or none. */
export function usersTriggers(random: Random, table: Table, tables: readonly Table[]): string[] {
  const count = random.pick([0, 0, 1, 1, 1, 2, 2, 3])
  return Array.from({ length: count }, (_, at) => trigger(random, table, tables, at)).flat()
}

interface Trigger {
  /** Between "create trigger <name>" and "execute function". */
  readonly when: string
  readonly body: string
  readonly constraint?: boolean
}

function trigger(random: Random, table: Table, tables: readonly Table[], at: number): string[] {
  const { name } = table
  const other = random.pick(tables)
  const same = (row: string) => table.keys.map((key) => `t.${key.name} = ${row}.${key.name}`).join(' and ')
  const key = random.pick(table.keys)
  const value = anyValue(random, key.kind)
  const rest = random.below(3)
  const touchOther = random.pick([
    `update ${other.name} t set n = n + 1 where n % 3 = ${rest}`,
    `delete from ${other.name} t where n % 5 = ${rest}`,
    `insert into ${other.name} (${other.keys.map((k) => k.name).join(', ')}, n, stamp) values (${other.keys.map((k) => anyValue(random, k.kind)).join(', ')}, ${rest}, coalesce(new.stamp, old.stamp)) on conflict do nothing`,
    `insert into ${other.name} (${other.keys.map((k) => k.name).join(', ')}, n, stamp) values (${other.keys.map((k) => anyValue(random, k.kind)).join(', ')}, ${rest}, coalesce(new.stamp, old.stamp)) on conflict (${other.keys.map((k) => k.name).join(', ')}) do update set n = excluded.n, stamp = excluded.stamp`,
  ])
  const written = ['n', 'stamp', ...table.keys.map((k) => k.name)]
  const insertAgain = (row: string) =>
    `insert into ${name} (${written.join(', ')}) values (${written.map((column) => `${row}.${column}`).join(', ')}) on conflict do nothing`
  const events = random.pick(['insert', 'update', 'insert or update', 'insert or update'])
  const kinds: readonly Trigger[] = [
    { when: `before ${events} on ${name} for each row`, body: 'new.n := new.n + 1; return new;' },
    { when: `before ${events} on ${name} for each row`, body: `if new.n % 7 = ${rest} then return null; end if; return new;` },
    { when: `before ${events} on ${name} for each row`, body: `if new.n % 3 = ${rest} then new.${key.name} := ${value}; end if; return new;` },
    { when: `before ${events} on ${name} for each row`, body: `${touchOther}; return new;` },
    { when: `before delete on ${name} for each row`, body: `if old.n % 4 = ${rest} then return null; end if; return old;` },
    { when: `after ${events} on ${name} for each row`, body: `update ${name} t set n = n + 1 where ${same('new')}; return null;` },
    { when: `after ${events} on ${name} for each row`, body: `update ${name} t set n = n + 1 where ${same('new')}; return null;` },
    { when: `after ${events} on ${name} for each row`, body: `delete from ${name} t where ${same('new')} and n % 3 = ${rest}; return null;` },
    { when: `after ${events} on ${name} for each row`, body: `delete from ${name} t where ${same('new')}; ${insertAgain('new')}; return null;` },
    { when: `after ${events} on ${name} for each row`, body: `update ${name} t set ${key.name} = ${value} where ${same('new')} and n % 2 = 0; return null;` },
    { when: `after ${events} on ${name} for each row`, body: `update ${name} t set n = n + 2 where not (${same('new')}) and n % 2 = 0; return null;` },
    { when: `after delete on ${name} for each row`, body: `if old.n % 2 = 0 then ${insertAgain('old')}; end if; return null;` },
    { when: `after ${events} or delete on ${name} for each row`, body: `${touchOther}; return null;` },
    { when: `after ${events} or delete on ${name} for each statement`, body: `update ${name} t set n = n + 1 where n < 3; return null;` },
    { when: `after delete on ${name} for each statement`, body: `delete from ${other.name} where n % 4 = ${rest}; return null;` },
    { when: `after truncate on ${name} for each statement`, body: `${touchOther.replace('coalesce(new.stamp, old.stamp)', "''")}; return null;` },
    {
      when: `after insert or update on ${name} deferrable initially deferred for each row`,
      body: `update ${name} t set n = n + 1 where ${same('new')} and n < 9; return null;`,
      constraint: true,
    },
    {
      when: `after update or delete on ${name} deferrable initially deferred for each row`,
      body: `delete from ${other.name} t where n % 5 = ${rest}; return null;`,
      constraint: true,
    },
  ]
  const { when, body, constraint } = random.pick(kinds)
  // Statement triggers run in the order of their names, Afluente's among them.
  const own = `"${random.pick(['a', 'z'])}${at}"`
  const routine = `${SCHEMA}."${table.plainName.replaceAll('"', '""')} ${at}"`
  // Those that write many rows would write more with each level.
  const depth = /where (?:n|not)\b/.test(body) || constraint === true ? 1 : 1 + random.below(3)
  // At commit every trigger is at depth 1, and no timeout ends what wakes itself again and again.
  const turns = `coalesce(nullif(current_setting('fuzz.turns', true), ''), '0')::int`
  const patience = constraint === true ? `if ${turns} > 20 then return null; end if; perform set_config('fuzz.turns', (${turns} + 1)::text, true); ` : ''
  const isBefore = when.startsWith('before')
  const through = isBefore ? `return ${when.startsWith('before delete') ? 'old' : 'new'};` : 'return null;'
  const guarded = random.chance(0.3) ? `begin ${body} exception when integrity_constraint_violation then ${through} end;` : body
  const statements = [
    `create function ${routine}() returns trigger language plpgsql as $$ begin if pg_trigger_depth() > ${depth} then ${through} end if; ${patience}${guarded} end $$`,
    `create ${constraint === true ? 'constraint ' : ''}trigger ${own} ${when} execute function ${routine}()`,
  ]
  if (random.chance(0.3)) statements.push(`alter table ${name} enable always trigger ${own}`)
  return statements
}
