/** What a run says at its end. */
import type { ChaosOptions } from './options.ts'
import type { Finding } from './judge/finding.ts'

export interface Outcome {
  readonly seconds: number
  readonly seed: number
  readonly ok: boolean
  readonly lost: number
  readonly doubled: number
  readonly stale: number
  /** Findings of other kinds: order, epochs, counters, a stream that did not come to rest. */
  readonly broken: number
  readonly changes: number
  readonly transactions: Readonly<Record<string, number>>
  readonly kills: Readonly<Record<string, number>>
  readonly pauses: number
  readonly wrongClocks: number
  readonly backfills: number
  /** Rows that backfills have sent again. */
  readonly reads: number
  /** What silver refused for a while, how often one of it was refused again, and how many redrives brought it to its end. */
  readonly letters: number
  readonly failedAgain: number
  readonly redrives: number
  readonly disturbances: number
  readonly cuts: number
  readonly resets: number
  readonly doorbells: Readonly<Record<string, number>>
  readonly events: number
  /** How many of them were in bronze before the last fault was over. */
  readonly arrivedMeanwhile: number
  readonly sentAgain: number
  readonly restMs: number | null
  /** Sabotages that the audit found, and those that it did not. */
  readonly proved: readonly string[]
  readonly unnoticed: readonly string[]
  readonly findings: readonly Finding[]
}

const SHOWN = 20

export function linesOf(outcome: Outcome, options: ChaosOptions): readonly string[] {
  const { doorbells, findings, kills, proved, unnoticed } = outcome
  const killed = Object.entries(kills).map(([part, count]) => `${part} ${count}`)
  const sum = Object.values(kills).reduce((a, b) => a + b, 0)
  const count = (n: number, kind: string): string => `${n} ${kind}`
  return [
    '',
    `${outcome.changes} changes in ${outcome.transactions['committed'] ?? 0} transactions (${outcome.transactions['unknown'] ?? 0} of unknown outcome, ${outcome.transactions['aborted'] ?? 0} rolled back); ${outcome.events} events, ${outcome.arrivedMeanwhile} of them delivered meanwhile, ${outcome.sentAgain} sent again`,
    `survived: ${sum} kills (${killed.join(', ')}), ${outcome.pauses} pauses, ${outcome.wrongClocks} wrong clocks, ${outcome.backfills} killed backfills (${outcome.reads} rows sent again), ${outcome.cuts} cuts, ${outcome.resets} resets, ${outcome.disturbances} times slow, silent or refusing`,
    `doorbells: ${doorbells['sent'] ?? 0} sent, ${doorbells['failed'] ?? 0} in vain, ${doorbells['dropped'] ?? 0} dropped, ${doorbells['doubled'] ?? 0} doubled`,
    `dead letters: ${outcome.letters}, in ${outcome.redrives} redrives, refused again ${outcome.failedAgain} times`,
    ...(outcome.restMs === null ? [] : [`at rest ${(outcome.restMs / 1_000).toFixed(1)} s after the last fault`]),
    ...findings.slice(0, SHOWN).map(({ promise, kind, what }) => `  ✗ ${promise}, ${kind}: ${what}`),
    ...(findings.length > SHOWN ? [`  … and ${findings.length - SHOWN} more`] : []),
    ...(options.prove
      ? [`the audit found ${proved.length} of ${proved.length + unnoticed.length} sabotages`, ...unnoticed.map((name) => `  ✗ unnoticed: ${name}`)]
      : []),
    `${count(outcome.lost, 'lost')}, ${count(outcome.doubled, 'doubled')}, ${count(outcome.stale, 'stale')}${outcome.broken > 0 ? `, ${outcome.broken} other faults` : ''}`,
    ...(outcome.ok ? [] : [`again: npm run chaos -- --seconds ${options.seconds} --seed ${options.seed} --rate ${options.rate} --writers ${options.writers}`]),
  ]
}
