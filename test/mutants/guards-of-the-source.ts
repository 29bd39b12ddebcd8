/** Further guards of the source side: the doorbell, claims, rows and deletes that are sent again, rights. */
import type { Guard } from './guard.ts'

const SQL = 'supabase/migrations/20261101000'
const SOURCE = 'test/contract/source'
const TRIGGER = `${SQL}600_afluente_trigger_source.sql`
const CLAIM = `${SQL}800_afluente_claim.sql`
const RESEND = `${SQL}940_afluente_resend.sql`
const BACKFILLS = `${SQL}941_afluente_backfills.sql`
const DELETES = `${SQL}960_afluente_deletes.sql`
const source = (...names: string[]): Guard['tests'] => ['source', ...names.map((name) => `${SOURCE}/${name}.test.ts`)]
const backfill: Guard['tests'] = ['contract', 'test/contract/backfill/supabase.test.ts']

export const guardsOfTheSource: readonly Guard[] = [
  {
    name: 'a busy table rings five times a second at most',
    file: TRIGGER,
    line: 'if (select r.last_value from afluente.last_rung r) < extract(epoch from moment) * 1000 - 200 then',
    sabotage: 'if true then',
    tests: source('harmless'),
  },
  {
    name: 'nobody is rung while somebody is at work',
    file: TRIGGER,
    line: '  if not leased and changes > 0 then',
    sabotage: '  if changes > 0 then',
    tests: source('harmless'),
  },
  {
    name: 'a doorbell waits for nobody in the user’s transaction',
    file: `${SQL}400_afluente_doorbell.sql`,
    line: "set lock_timeout = '50ms'\n",
    sabotage: '',
    tests: source('held-up', 'harmless'),
  },
  {
    name: 'the sweep finds what no doorbell told',
    file: `${SQL}400_afluente_doorbell.sql`,
    line: '  if waiting then',
    sabotage: '  if false then',
    tests: source('harmless'),
  },
  {
    name: 'floats have all their digits, whatever the session says',
    file: TRIGGER,
    line: "set intervalstyle = 'postgres'\nset extra_float_digits = 1\nset bytea_output = 'hex'\nset row_security = off\nset enable_seqscan = off\nset enable_nestloop = off\n",
    sabotage: "set intervalstyle = 'postgres'\nset bytea_output = 'hex'\nset row_security = off\nset enable_seqscan = off\nset enable_nestloop = off\n",
    tests: source('images', 'keys'),
  },
  {
    name: 'a table without its primary key is noticed by each statement',
    file: TRIGGER,
    line: "if pg_index_has_property({index}, 'clusterable') is null and afluente.primary_key({relation}) is distinct from {key columns} then",
    sabotage: 'if false then',
    tests: source('unnoticed', 'altered', 'refused', 'found'),
  },
  {
    name: 'far above its budget the outbox keeps nothing, and says so',
    file: TRIGGER,
    line: '  elsif keeps = 2 then',
    sabotage: '  elsif false then',
    tests: source('pressure'),
  },
  {
    name: 'what is under way is not claimed a second time',
    file: CLAIM,
    line: 'and o.version not in (select b.version from unnest(claim.beside) b (version))',
    sabotage: '',
    tests: ['contract', 'test/contract/outbox/supabase.test.ts'],
  },
  {
    name: 'a claim keeps to its bytes',
    file: CLAIM,
    line: '<= claim.max_bytes',
    sabotage: '>= 0',
    tests: source('claim'),
  },
  {
    name: 'what no topic takes is not read',
    file: CLAIM,
    line: 'oversize constant int := 33554432;',
    sabotage: 'oversize constant int := 2147483647;',
    tests: source('claim'),
  },
  {
    name: 'an old epoch lets go of nothing',
    file: CLAIM,
    line: 'where s.shard = release.shard and s.epoch = release.epoch;',
    sabotage: 'where s.shard = release.shard;',
    tests: source('claim'),
  },
  {
    name: 'a claim leaves out only what can never be seen any more',
    file: `${SQL}780_afluente_settle.sql`,
    line: 'if held.horizon_xid is not null and pg_snapshot_xmin(pg_current_snapshot()) <= held.horizon_xid then',
    sabotage: 'if false then',
    tests: source('claim', 'mutants', 'shards', 'transactions'),
  },
  {
    name: 'an older change that comes in meanwhile is not settled away',
    file: `${SQL}780_afluente_settle.sql`,
    line: 'and s.settled = former.settled and s.horizon_version = former.horizon_version and s.horizon_xid is not distinct from former.horizon_xid',
    sabotage: '',
    tests: source('deletes'),
  },
  {
    name: 'a repair of extra keys waits for whoever may have drawn a lower version',
    file: DELETES,
    line: 'if pg_snapshot_xmin(pg_current_snapshot()) <= fence::xid8 then',
    sabotage: 'if false then',
    tests: source('deletes'),
  },
  {
    name: 'a repair of extra keys leaves rows that are there alone',
    file: DELETES,
    line: "'select coalesce(array_agg(r.key) filter (where r.image is null), ''{}''),",
    sabotage: "'select coalesce(array_agg(r.key), ''{}''),",
    tests: source('deletes'),
  },
  {
    name: 'a repair under an old version is looked for by whoever had settled above it',
    file: DELETES,
    line: 'set settled = least(s.settled, d.version - 1), horizon_version = 0, horizon_xid = null',
    sabotage: 'set settled = s.settled',
    tests: source('deletes'),
  },
  {
    name: 'rows are sent again as they stand now, not as an old snapshot saw them',
    file: RESEND,
    line: "elsif current_setting('transaction_isolation') <> 'read committed' then",
    sabotage: 'elsif false then',
    tests: source('resend'),
  },
  {
    name: 'which columns a dump excludes is not guessed when rows are sent again',
    file: RESEND,
    line: "elsif captured.exclude <> '{}' and captured.numbers_of <> captured.table_oid then",
    sabotage: 'elsif false then',
    tests: source('resend'),
  },
  {
    name: 'above the budget a backfill sends nothing, and loses nothing',
    file: RESEND,
    line: '  if keeps = 2 then',
    sabotage: '  if false then',
    tests: source('resend'),
  },
  {
    name: 'one works on a backfill at a time',
    file: BACKFILLS,
    line: 'elsif held.leased_until > clock_timestamp() and held.owner <> hold_backfill.owner then',
    sabotage: 'elsif false then',
    tests: backfill,
  },
  {
    name: 'a backfill is not done while a row waits',
    file: BACKFILLS,
    line: "state = case when done and b.state = 'running' and b.waiting = '{}' then 'done' else b.state end",
    sabotage: "state = case when done and b.state = 'running' then 'done' else b.state end",
    tests: backfill,
  },
  {
    name: 'a backfill that was taken over is let go of by its new holder alone',
    file: BACKFILLS,
    line: 'where b.id = release_backfill.id and b.epoch = release_backfill.epoch',
    sabotage: 'where b.id = release_backfill.id',
    tests: backfill,
  },
  {
    name: 'a backfill makes no room for itself',
    file: BACKFILLS,
    line: '    and 5000 > (',
    sabotage: '    and 1000000000 > (',
    tests: backfill,
  },
  {
    name: 'what waited and was sent by a backfill is not sent again',
    file: BACKFILLS,
    line: '    if send_backfill.reached is null then',
    sabotage: '    if false then',
    tests: backfill,
  },
  {
    name: 'functions of the schema are for the service role alone',
    file: CLAIM,
    line: 'from public, anon, authenticated;',
    sabotage: 'from anon;',
    tests: source('rights'),
  },
  {
    name: 'a key that can be deferred is refused',
    file: `${SQL}700_afluente_capture_table.sql`,
    line: "    raise exception 'afluente: the primary key of % is deferrable: a delete could come after the insert that followed it', full_name\n",
    sabotage: "    raise notice 'afluente: the primary key of % is deferrable: a delete could come after the insert that followed it', full_name\n",
    tests: source('refused'),
  },
  // What a deploy finds there and in silver.
  {
    name: 'a deploy that silver refuses begins no other part',
    file: 'infra/deploy/prepare.ts',
    line: "isAfluenteError(checked.error) && checked.error.kind === 'misconfigured'",
    sabotage: "isAfluenteError(checked.error) && checked.error.kind === 'refused'",
    tests: ['contract', 'test/contract/deploy/prepare.test.ts'],
  },
  {
    name: 'a silver table without a primary key refuses the deploy',
    file: 'infra/deploy/check-silver.ts',
    line: 'found === undefined ||',
    sabotage: 'found === undefined || found.key.length === 0 ||',
    tests: ['contract', 'test/contract/deploy/prepare.test.ts'],
  },
  {
    name: 'the views of sql/ come anew with a silver table that was dropped',
    file: 'infra/deploy/check-silver.ts',
    line: "where name >= '0300'",
    sabotage: "where name >= '0400'",
    tests: ['contract', 'test/contract/deploy/prepare.test.ts'],
  },
]
