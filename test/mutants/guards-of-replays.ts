/** The guards of replays and shadows. */
import type { Guard } from './guard.ts'

const POSTGRES = 'shared/adapters/postgres'
const ELASTICSEARCH = 'shared/adapters/elasticsearch'
const UNIT = ['unit', 'test/unit/replay/replay.test.ts'] as const
const ON_POSTGRES = ['contract', 'test/contract/replays/postgres.test.ts'] as const
const ON_ELASTICSEARCH = ['contract', 'test/contract/replays/elasticsearch.test.ts'] as const

export const guardsOfReplays: readonly Guard[] = [
  {
    name: 'who replays shuts out whoever replayed before',
    file: 'shared/engine/replay.ts',
    line: 'epoch: await control.take({ ...place, owner: deps.owner }, options)',
    sabotage: 'epoch: 1',
    tests: UNIT,
  },
  {
    name: 'an event that is keyed by other columns is applied nowhere',
    file: 'shared/engine/replay.ts',
    line: `(isKeyedBy(table.key, event) ? 'own' : 'strange')`,
    sabotage: `(event.eventId === '' ? 'strange' : 'own')`,
    tests: UNIT,
  },
  {
    name: 'a replay into a consumer with another key is refused',
    file: 'functions/api/replays/asking.ts',
    line: '!isKeyedBy(table.key, event))',
    sabotage: 'event.key === table.name)',
    tests: ['contract', 'test/contract/api/replays.test.ts'],
  },
  {
    name: 'a trial buries nothing',
    file: 'shared/engine/replay.ts',
    line: `if (target === 'live' && letters.length > 0)`,
    sabotage: 'if (letters.length > 0)',
    tests: UNIT,
  },
  {
    name: 'what a page became is counted with the place where the next one begins, once',
    file: `${POSTGRES}/replays.ts`,
    line: `from fence where j.id = $5::bigint and j."position" < $6 returning j.id`,
    sabotage: `from fence where j.id = $5::bigint returning j.id`,
    tests: ON_POSTGRES,
  },
  {
    name: 'an old epoch settles no page',
    file: `${POSTGRES}/replays.ts`,
    line: `    problem = null, updated_at = clock_timestamp()
  from fence where`,
    sabotage: `    problem = null, updated_at = clock_timestamp()
  from (select) as fence where`,
    tests: ON_POSTGRES,
  },
  {
    name: 'two who ask for a swap, or drop the shadow, at once do one thing',
    file: `${POSTGRES}/replays.ts`,
    line: `exists (select from ops.replay_job as r where r.id = s.job and r.state <> 'running')`,
    sabotage: `not exists (select from ops.replay_job as r where r.id = s.job and r.state = 'running')`,
    tests: ON_POSTGRES,
  },
  {
    name: 'a swap that may not be ends, and does not switch for ever',
    file: 'shared/engine/replay.ts',
    line: `job.kind === 'swap' && actionFor(error) !== 'retry' ? replays.giveUp`,
    sabotage: `job.kind === 'swap' && actionFor(error) === 'split' ? replays.giveUp`,
    tests: UNIT,
  },
  {
    name: 'a live index that stays blocked keeps its swap running',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: `throw new AfluenteError('unavailable', 'still-blocked'`,
    sabotage: `throw new AfluenteError('misconfigured', 'still-blocked'`,
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'a shadow is written beside the live table',
    file: `${POSTGRES}/write-statement.ts`,
    line: 'shadow ? shadowOf(table.name) : table.name',
    sabotage: 'table.name',
    tests: ON_POSTGRES,
  },
  {
    name: 'following never puts an old row over a new one',
    file: 'sql/0287_ops_follow_shadow.sql',
    line: `not exists (select from %1$s as s where %5$s and s._version >= l._version)
     on conflict (%6$s) do update set %7$s where excluded._version > t._version'`,
    sabotage: `true
     on conflict (%6$s) do update set %7$s'`,
    tests: ON_POSTGRES,
  },
  {
    name: 'a swap takes the last writes along while writers wait',
    file: 'sql/0289_ops_swap_shadow.sql',
    line: 'in exclusive mode',
    sabotage: 'in access share mode',
    tests: ON_POSTGRES,
  },
  {
    name: 'a swap copies under its lock',
    file: 'sql/0289_ops_swap_shadow.sql',
    line: 'ops.follow_shadow(live, 0, 4294967295) as f',
    sabotage: 'ops.follow_shadow(live, 4294967295, 0) as f',
    tests: ON_POSTGRES,
  },
  {
    name: 'a swap is done once',
    file: 'sql/0289_ops_swap_shadow.sql',
    line: `and j.kind = 'swap' and j.state = 'running' for update`,
    sabotage: `and j.kind = 'swap' for update`,
    tests: ON_POSTGRES,
  },
  {
    name: 'an old epoch swaps nothing',
    file: 'sql/0289_ops_swap_shadow.sql',
    line: 'and p.epoch = $4 for no key update',
    sabotage: 'and p.epoch >= $4 for no key update',
    tests: ON_POSTGRES,
  },
  {
    name: 'row-level security and its policies follow a swap',
    file: 'sql/0289_ops_swap_shadow.sql',
    line: `where p.schemaname = 'silver' and p.tablename = live`,
    sabotage: 'where false',
    tests: ON_POSTGRES,
  },
  {
    name: 'what was truncated meanwhile does not come back with a swap',
    file: 'sql/0289_ops_swap_shadow.sql',
    line: 'where _version < $1 and _deleted_at is null',
    sabotage: 'where _version < $1 and false',
    tests: ON_POSTGRES,
  },
  {
    name: 'what can’t be handed over stops a swap',
    file: 'sql/0289_ops_swap_shadow.sql',
    line: 'if obstacles is not null then',
    sabotage: 'if false then',
    tests: ON_POSTGRES,
  },
  {
    name: 'what is written meanwhile waits for the alias',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: 'await block(names.live, options)',
    sabotage: '',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'a swap of an alias is done once',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: 'if (!(names.shadow in before)) await moveAlias',
    sabotage: 'await moveAlias',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'a swap looks once more when nobody writes into the former one',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: `await copyRest()
      return`,
    sabotage: 'return',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'an old epoch moves no alias',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: `await control.advance(fence, '0', 0, NOTHING, options)`,
    sabotage: '',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'who is fenced leaves the block to its successor',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: `if (actionFor(error) !== 'stop') await letWritersOn`,
    sabotage: 'await letWritersOn',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'a swap that fails lets writers go on',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: 'if (live in (await holdersOf(client, alias, options))) await unblock(client, live, options)',
    sabotage: '',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'the alias keeps its floor through a swap',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: 'aliasFilterOf(Math.max(await floorOf(table, options), ...Object.values(before).map(floorOfFilter)))',
    sabotage: 'aliasFilterOf(0 * Object.values(before).map(floorOfFilter).length)',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'documents are copied as text',
    file: `${ELASTICSEARCH}/follow.ts`,
    line: 'document: onOneLine(source)',
    sabotage: 'document: onOneLine(JSON.stringify(JSON.parse(source)))',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'documents are copied under their versions',
    file: `${ELASTICSEARCH}/follow.ts`,
    line: '"version":${version},"version_type":"external"',
    sabotage: '"version":${version + 1000},"version_type":"external"',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'a deploy leaves the alias where documents are',
    file: `${ELASTICSEARCH}/prepare.ts`,
    line: 'if (count > 0) {',
    sabotage: 'if (count > 1_000_000) {',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'an alias that is gone is not given to the former one',
    file: `${ELASTICSEARCH}/prepare.ts`,
    line: 'if (!(await client.indices.exists({ index: named }, { signal }))) return neighbour',
    sabotage: 'if (neighbour !== named) return named',
    tests: ON_ELASTICSEARCH,
  },
  {
    name: 'an alias of two indices makes no dead letters',
    file: `${ELASTICSEARCH}/bulk.ts`,
    line: 'if (requireAlias && answers.some',
    sabotage: 'if (!requireAlias && answers.some',
    tests: ['contract', 'test/contract/sink/elasticsearch.test.ts'],
  },
  {
    name: 'a live index is not removed',
    file: `${ELASTICSEARCH}/shadows.ts`,
    line: 'if (names.shadow in (await holdersOf(client, aliasOf(table), options)))',
    sabotage: 'if (names.shadow === names.live)',
    tests: ON_ELASTICSEARCH,
  },
]
