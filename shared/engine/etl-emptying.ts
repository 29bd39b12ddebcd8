/**
 * Before a run may take rows out of silver: does its source still have what the copy shows? A view that lost its rights, or a condition on the wrong account,
 * gives no rows and no error, and the copy would go with them.
 */
import type { EtlSource } from '../ports/etl-source.ts'
import type { EtlStore } from '../ports/etl-store.ts'
import type { Cancellable } from '../ports/cancellable.ts'
import { type EtlJob, originName } from '../tables/etl-job.ts'
import { AfluenteError } from './errors.ts'

/** Rows that are looked for: enough to tell half of a copy from much more or less. */
const SAMPLE = 1_000
/** So few may go whatever share of the copy they are, unless they are all of it. */
const FEW = 10

export interface EmptyingDeps {
  readonly name: string
  readonly job: EtlJob
  readonly source: Pick<EtlSource, 'has'>
  readonly store: Pick<EtlStore, 'sample'>
  readonly loadType: 'full' | 'reconcile'
}

/** Throws `misconfigured` where more than half of the copy would go, or all of it. */
export async function refuseEmptying({ job, loadType, name, source, store }: EmptyingDeps, options: Cancellable): Promise<void> {
  if (job.deletes === 'ignore') return
  const keys = await store.sample(job, SAMPLE, options)
  if (keys.length === 0) return
  const there = await source.has(job, keys, options)
  const gone = keys.length - there
  if (there > 0 && (gone * 2 <= keys.length || gone <= FEW)) return
  const found = there === 0 ? 'none' : `${there}`
  throw new AfluenteError(
    'misconfigured',
    'would-empty',
    `etl.${name}: of ${keys.length} rows that silver.${job.into} shows, ${originName(job.source)} has ${found}. Taking the others for deleted would empty the copy, so nothing was changed. See that its role may still read all rows, and that its conditions are right. If they are gone in earnest: npx afluente etl ${loadType === 'full' ? `run ${name} --full` : `reconcile ${name}`} --yes`,
  )
}
