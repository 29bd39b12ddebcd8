/** Further guards of what moves: capture, deliver, its subscription and its burials, redrives. */
import type { Guard } from './guard.ts'

const ENGINE = 'shared/engine'
const POSTGRES = 'shared/adapters/postgres'
const KAFKA = 'shared/adapters/kafka'
const capture: Guard['tests'] = ['unit', 'test/unit/capture']
const deliver: Guard['tests'] = ['unit', 'test/unit/deliver']
const subscription: Guard['tests'] = ['contract', 'test/contract/subscription/kafka.test.ts']

export const guardsOfSteps: readonly Guard[] = [
  // Capture.
  {
    name: 'a lease is trusted for a part of its time only',
    file: `${ENGINE}/capture-lease.ts`,
    line: 'live: (under) => under === epoch && clock.now() - trustedFrom < limits.leaseMs * TRUSTED',
    sabotage: 'live: (under) => under === epoch',
    tests: capture,
  },
  {
    name: 'rows claimed under an earlier epoch are not published under a later one',
    file: `${ENGINE}/capture-lease.ts`,
    line: 'live: (under) => under === epoch &&',
    sabotage: 'live: () => epoch !== null &&',
    tests: capture,
  },
  {
    name: 'a slow publish keeps its lease',
    file: `${ENGINE}/capture.ts`,
    line: '      if (!done.signal.aborted) await settle(lease.renew())\n',
    sabotage: '',
    tests: capture,
  },
  {
    name: 'the lease is let go however a run ends',
    file: `${ENGINE}/capture.ts`,
    line: '  await settle(acknowledger.done())\n  await lease.release()\n',
    sabotage: '  await settle(acknowledger.done())\n',
    tests: capture,
  },
  {
    name: 'the lease is let go after the last acknowledgement',
    file: `${ENGINE}/capture.ts`,
    line: '  await settle(acknowledger.done())\n  await lease.release()\n',
    sabotage: '  await lease.release()\n  await settle(acknowledger.done())\n',
    tests: capture,
  },
  {
    name: 'what is being published is not claimed beside it',
    file: `${ENGINE}/capture.ts`,
    line: '[...acknowledger.underWay(), ...versions]',
    sabotage: '[]',
    tests: capture,
  },
  {
    name: 'a claim that is under way is waited for before the lease is let go',
    file: `${ENGINE}/capture.ts`,
    line: '    await next\n  }\n',
    sabotage: '  }\n',
    tests: capture,
  },
  {
    name: 'a run hands over before its budget is spent',
    file: `${ENGINE}/capture-successor.ts`,
    line: "if (state !== 'none' || budget.spent() === 'little') return",
    sabotage: "if (state !== 'none' || budget.spent() !== 'hard') return",
    tests: capture,
  },
  {
    name: 'a ring while a run works is answered by a run that looks again',
    file: `${ENGINE}/capture-ringer.ts`,
    line: "if (ending !== 'idle' || !work.unheard) break",
    sabotage: 'break',
    tests: capture,
  },
  {
    name: 'what no topic takes goes as its key',
    file: `${ENGINE}/capture-batch.ts`,
    line: 'return bytes <= maxMessageBytes ? message : encodeKeyOnly(change, context, bytes)',
    sabotage: 'return message',
    tests: capture,
  },
  {
    name: 'what the broker finds too large goes as its key',
    file: `${ENGINE}/capture-batch.ts`,
    line: '  if (tooLarge.length === 0) return true\n',
    sabotage: '  if (tooLarge.length >= 0) return true\n',
    tests: capture,
  },
  // Deliver.
  {
    name: 'a partition that was given anew is taken anew',
    file: `${ENGINE}/deliver.ts`,
    line: 'if (present?.generation === generation) return',
    sabotage: 'if (present !== undefined) return',
    tests: deliver,
  },
  {
    name: 'progress reaches behind a refused record only once it is buried',
    file: `${ENGINE}/apply.ts`,
    line: 'async (part) => void letters.push(...(await writePart(part, offsets.first)))',
    sabotage: 'async (part) => void letters.push(...(await writePart(part, offsets.next)))',
    tests: deliver,
  },
  {
    name: 'a record that is of another table becomes no row of this one',
    file: `${ENGINE}/apply.ts`,
    line: 'else if (decoded.event.table === name) events.push(decoded.event)',
    sabotage: 'else if (name !== null) events.push(decoded.event)',
    tests: deliver,
  },
  {
    name: 'a floor is raised before its batch is written',
    file: `${ENGINE}/apply.ts`,
    line: 'const culprits = await carryOutFloors(table, events, fence, context)',
    sabotage: 'const culprits: Awaited<ReturnType<typeof carryOutFloors>> = []',
    tests: deliver,
  },
  {
    name: 'what stands below a floor is swept to the end',
    file: `${ENGINE}/floors.ts`,
    line: 'swept.next !== null; swept',
    sabotage: 'false; swept',
    tests: deliver,
  },
  {
    name: 'bronze has what silver refused',
    file: `${ENGINE}/dead-letters.ts`,
    line: '    await eachUnlessRefused(letters, (part) => persist(where, () => sink.keep(part, fence, options), context))\n',
    sabotage: '',
    tests: deliver,
  },
  {
    name: 'a letter that can not be stored whole is stored without its content',
    file: `${ENGINE}/dead-letters.ts`,
    line: '|| (await stored([withoutContent(letter)], store))',
    sabotage: '',
    tests: deliver,
  },
  {
    name: 'a sink that is down is waited for with heartbeats',
    file: `${ENGINE}/persist.ts`,
    line: '      await context.heartbeat()\n',
    sabotage: '',
    tests: deliver,
  },
  {
    name: 'a wrong definition halts and buries nothing',
    file: `${ENGINE}/errors.ts`,
    line: "  misconfigured: 'halt',",
    sabotage: "  misconfigured: 'split',",
    tests: ['unit', 'test/unit/deliver', 'test/unit/config'],
  },
  {
    name: 'offsets that were gone are read from the earliest record',
    file: `${KAFKA}/subscription-positions.ts`,
    line: 'const gone = committed === RESET || (committed >= 0n && (committed < low || committed > high))',
    sabotage: 'const gone = false',
    tests: subscription,
  },
  {
    name: 'a member that lost its partitions forgets what it had marked',
    file: `${KAFKA}/subscription-commits.ts`,
    line: 'clear: () => marked.clear()',
    sabotage: 'clear: () => {}',
    tests: deliver,
  },
  // The sinks.
  {
    name: 'who has lost a partition keeps nothing in bronze',
    file: `${POSTGRES}/keep.ts`,
    line: "if (rows[0]?.['held'] !== 't') throw fenced(fence)",
    sabotage: 'if (rows.length > 1) throw fenced(fence)',
    tests: ['contract', 'test/contract/sink/postgres.test.ts', 'test/contract/sink/postgres-keep.test.ts'],
  },
  {
    name: 'who has lost a partition buries nothing',
    file: `${POSTGRES}/control.ts`,
    line: "if (rows[0]?.['held'] !== 't') throw fenced(fence)",
    sabotage: 'if (rows.length > 1) throw fenced(fence)',
    tests: ['contract', 'test/contract/control/postgres.test.ts'],
  },
  {
    name: 'a floor waits for the batches that do not know it',
    file: `${POSTGRES}/write-statement.ts`,
    line: ' for share of f`',
    sabotage: '`',
    tests: ['contract', 'test/contract/sink/postgres-guards.test.ts'],
  },
  {
    name: 'an event that bronze had already is counted as a duplicate',
    file: `${POSTGRES}/write-statement.ts`,
    line: "when e.role = 'r'${bronze ? ` or ${unkept}` : ''} then 'duplicate'",
    sabotage: "when e.role = 'r' then 'duplicate'",
    tests: ['contract', 'test/contract/sink/postgres.test.ts'],
  },
  {
    name: 'a query that was given up takes its connection with it',
    file: `${POSTGRES}/pool.ts`,
    line: '          client.release(!sound)',
    sabotage: '          client.release()',
    tests: ['contract', 'test/contract/sink/postgres-pool.test.ts'],
  },
  {
    name: 'an index that has a newer version is well (409)',
    file: 'shared/adapters/elasticsearch/faults.ts',
    line: "if (status === 409) return 'conflict'",
    sabotage: "if (status === 409) return 'row'",
    tests: ['contract', 'test/contract/sink/elasticsearch.test.ts'],
  },
  {
    name: 'an index that takes no more is tried again (429, 5xx)',
    file: 'shared/adapters/elasticsearch/faults.ts',
    line: "if (status === 429 || status >= 500) return 'overloaded'",
    sabotage: "if (status >= 600) return 'overloaded'",
    tests: ['contract', 'test/contract/sink/elasticsearch-overload.test.ts'],
  },
  {
    name: 'an index that is missing halts; a write makes none',
    file: 'shared/adapters/elasticsearch/faults.ts',
    line: "index_not_found_exception: 'no-index'",
    sabotage: "index_not_found_exception: 'row'",
    tests: ['contract', 'test/contract/sink/elasticsearch.test.ts'],
  },
  {
    name: 'keys too long for Elasticsearch have a document of their own',
    file: 'shared/mappings/document.ts',
    line: 'return `sha256:${hexOf(sha256(key))}`',
    sabotage: 'return `sha256:${hexOf(sha256(key)).slice(0, 0)}`',
    tests: ['unit', 'test/unit/mappings'],
  },
  // Redrives.
  {
    name: 'a letter that is older than a column fails alone in a redrive',
    file: `${ENGINE}/redrive.ts`,
    line: 'const apply = createApply({ ...deps, persist, assertShape: refuseMisshapen })',
    sabotage: 'const apply = createApply({ ...deps, persist, assertShape: () => {} })',
    tests: ['unit', 'test/unit/redrive'],
  },
  {
    name: 'a letter without its content is not written as an empty row',
    file: `${ENGINE}/redrive.ts`,
    line: 'return value === null && Object.keys(headers).length === 0',
    sabotage: 'return value === null && headers === undefined',
    tests: ['unit', 'test/unit/redrive'],
  },
  {
    name: 'a redrive that is held up says why and ends its pass',
    file: `${ENGINE}/redrive.ts`,
    line: '      await redrives.hold(job.id, explain(error), options)',
    sabotage: '      await Promise.resolve()',
    tests: ['unit', 'test/unit/redrive'],
  },
]
