/** Compares a job with its real source, before a row is read. */
import type { EtlRelation, EtlSource } from '../ports/etl-source.ts'
import type { Cancellable } from '../ports/cancellable.ts'
import { type EtlJob, originName } from '../tables/etl-job.ts'

export interface EtlCheck {
  /** What keeps the job from running, with what to do. */
  readonly faults: readonly string[]
  /** What makes it slow, or less sure than it could be. */
  readonly warnings: readonly string[]
}

/** What differs between a source's type and a column's; null: nothing. Given by the adapter, which knows types. */
export type TypeJudge = (sourceType: string, column: EtlJob['columns'][string]) => string | null

/** Asks the source once. Throws what the source throws: `unavailable`, `misconfigured`. */
export async function checkEtlSource(name: string, job: EtlJob, source: EtlSource, judge: TypeJudge, options: Cancellable): Promise<EtlCheck> {
  const relation = await source.inspect(job, options)
  const { database } = job.source
  if (relation === null) {
    return {
      faults: [
        `etl.${name}: ${originName(job.source)} is not in the database ${database}, or its role may not read it. Apply infra/${database}/view.sql and role.sql there.`,
      ],
      warnings: [],
    }
  }
  return compare(name, job, relation, judge)
}

function compare(name: string, job: EtlJob, relation: EtlRelation, judge: TypeJudge): EtlCheck {
  const { columns } = relation
  const wrong = Object.entries(job.columns).flatMap(([column, spec]) => {
    const type = columns[column]
    if (type === undefined) return [`${column} (${spec.type}) is missing`]
    const why = judge(type, spec)
    return why === null ? [] : [`${column} is ${type}, and ${why}`]
  })
  const both = [
    `  defined: ${Object.entries(job.columns)
      .map(([column, { type }]) => `${column} ${type}`)
      .join(', ')}`,
    `  ${originName(job.source)}: ${Object.entries(columns)
      .map(([column, type]) => `${column} ${type}`)
      .join(', ')}`,
  ]
  return {
    faults:
      wrong.length === 0
        ? []
        : [
            `etl.${name}: its columns are not those of the source: ${wrong.join('; ')}. Nothing was read. Mend the view or query, or the job's columns.\n${both.join('\n')}`,
          ],
    warnings: [
      ...(relation.missingIndex === null
        ? []
        : [`etl.${name}: no index begins with its cursor ${job.cursor}, so each run reads a whole table. In the source: ${relation.missingIndex}`]),
      ...(relation.isStandby
        ? [
            `etl.${name}: its source is a standby, where nobody sees which transactions are open: what commits later than the overlap (${job.overlap}) is found by the reconcile alone.`,
          ]
        : []),
    ],
  }
}
