/** What a reconcile's verdicts and repairs rest on. */
import type { Guard } from './guard.ts'

const UNIT = ['unit', 'test/unit/reconcile'] as const
const CONTENTS = ['contract', 'test/contract/reconcile/contents.test.ts'] as const
const STORED = ['contract', 'test/contract/reconcile/reconciliations.test.ts'] as const
const INDEX = ['contract', 'test/contract/reconcile/index.test.ts'] as const

export const guardsOfReconcile: readonly Guard[] = [
  {
    name: 'nothing is judged before the outbox has let go of what was committed',
    file: 'shared/engine/reconcile-barrier.ts',
    line: 'if (left === 0) break',
    sabotage: 'break',
    tests: UNIT,
  },
  {
    name: 'nothing is judged before each sink has shown what Kafka had',
    file: 'shared/engine/reconcile-barrier.ts',
    line: 'if (left === 0n) return',
    sabotage: 'return',
    tests: UNIT,
  },
  {
    name: 'the progress in a topic of before says nothing of the one that was made anew',
    file: 'shared/engine/reconcile-barrier.ts',
    line: '  assertSameTopic(of, before, ends)\n',
    sabotage: '',
    tests: UNIT,
  },
  {
    name: 'versions are compared within one life of the source',
    file: 'shared/engine/reconcile-barrier.ts',
    line: 'if (life !== null && drained.life !== life)',
    sabotage: 'if (drained.life === "")',
    tests: UNIT,
  },
  {
    name: 'a key that was written meanwhile is looked at again',
    file: 'shared/engine/reconcile-judge.ts',
    line: 'if (areSame(copiesAt(before, key), copiesAt(after, key))) findings.push(...wrong)',
    sabotage: 'if (round > 0) findings.push(...wrong)',
    tests: UNIT,
  },
  {
    name: 'the index is judged by what the source has, not by what silver has lost',
    file: 'shared/engine/reconcile-judge.ts',
    line: 'const otherVersion = content !== null && silver?.version !== index?.version',
    sabotage: 'const otherVersion = silver?.version !== index?.version',
    tests: UNIT,
  },
  {
    name: 'a repair looks again at what it sent',
    file: 'shared/engine/reconcile.ts',
    line: 'run.repair && first.findings.length > 0 ? await mended(',
    sabotage: 'run.repair && first.findings.length > 1_000 ? await mended(',
    tests: UNIT,
  },
  {
    name: 'a reading that was kept outlives a source that is away for a moment',
    file: 'shared/engine/reconcile.ts',
    line: '!readable.ok && taken.pass !== null',
    sabotage: '!readable.ok && taken.pass === undefined',
    tests: UNIT,
  },
  {
    name: 'a mark stays while something is wrong',
    file: 'shared/engine/reconcile.ts',
    line: 'if (isClean(outcome)) await',
    sabotage: 'await',
    tests: UNIT,
  },
  {
    name: 'sums and the place they reach are kept together',
    file: 'shared/engine/reconcile-sides.ts',
    line: '      side.next = pages.to\n',
    sabotage: '      await clock.sleep(3_000, options)\n      side.next = pages.to\n',
    tests: UNIT,
  },
  {
    name: 'a side that fails ends the others',
    file: 'shared/engine/together.ts',
    line: 'if (!ended.ok) failed.abort(ended.error)',
    sabotage: '',
    tests: UNIT,
  },
  {
    name: 'ranges that were not opened are no clean bill',
    file: 'shared/engine/reconcile-verdict.ts',
    line: 'return unopened === 0 && ',
    sabotage: 'return ',
    tests: UNIT,
  },
  {
    name: 'silver prints as the source does, whatever the session is set to',
    file: 'sql/0281_ops_as_printed.sql',
    line: `set timezone = 'UTC'\n`,
    sabotage: '',
    tests: CONTENTS,
  },
  {
    name: 'the null of json is compared as it arrives',
    file: 'shared/mappings/content-text.ts',
    line: `if (type === 'jsonb' && side === 'source')`,
    sabotage: `if (type === 'jsonb' && column === '')`,
    tests: CONTENTS,
  },
  {
    name: 'a sum of rows tells whose value is whose',
    file: 'shared/mappings/content-text.ts',
    line: "`hashint8extended(hash_record_extended(row(${[...whole, ofTexts].join(', ')}), 0), 0)`",
    sabotage: "`hash_record_extended(row(${[...whole, ofTexts].join(', ')}), 0)`",
    tests: CONTENTS,
  },
  {
    name: 'arrays are compared as they travel',
    file: 'shared/mappings/content-text.ts',
    line: `if (type.endsWith('[]')) return`,
    sabotage: `if (type === 'text' && column === '') return`,
    tests: CONTENTS,
  },
  {
    name: 'rows that a policy hides are not taken for rows that are gone',
    file: 'shared/adapters/postgres/source-contents.ts',
    line: `{ row_security: 'off' }`,
    sabotage: `{ row_security: 'on' }`,
    tests: CONTENTS,
  },
  {
    name: 'only the living of silver count',
    file: 'shared/adapters/postgres/content-statements.ts',
    line: "${side === 'silver' ? ' and r._deleted_at is null' : ''}`\n}",
    sabotage: '`\n}',
    tests: CONTENTS,
  },
  {
    name: 'a range ends where the next one begins',
    file: 'shared/adapters/elasticsearch/index-contents.ts',
    line: 'const [gte, lt] = [boundaries[range - 1], boundaries[range]]',
    sabotage: 'const [gte, lt] = [boundaries[range - 1], boundaries[range + 1]]',
    tests: INDEX,
  },
  {
    name: 'an index that is missing is not an empty one',
    file: 'shared/adapters/elasticsearch/index-contents.ts',
    line: 'if (error !== undefined) throw unread(index, error)',
    sabotage: '',
    tests: INDEX,
  },
  {
    name: 'who has lost a reconcile writes nothing of it any more',
    file: 'shared/adapters/postgres/reconciliations.ts',
    line: "const HELD = `id = $1 and epoch = $2 and state = 'running'`",
    sabotage: "const HELD = `id = $1 and $2::bigint > 0 and state = 'running'`",
    tests: STORED,
  },
  {
    name: 'a reconcile is worked on by one at a time',
    file: 'shared/adapters/postgres/reconciliations.ts',
    line: '\nwhere r.leased_until <= clock_timestamp()\n',
    sabotage: '\n',
    tests: STORED,
  },
]
