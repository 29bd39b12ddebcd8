import type { AnyPipeline } from '../../../shared/engine/define.ts'
import type { Problem } from '../../../shared/engine/problem.ts'
import type { EtlRun } from '../../../shared/ports/etl-control.ts'
import { declined, type Read } from '../reading.ts'

export function runAddress({ id, job }: Pick<EtlRun, 'id' | 'job'>): string {
  return `/api/etl/${job}/runs/${id}`
}

/** A job of the definition. */
export function jobNamed({ etl = {} }: AnyPipeline, name: string): Read<string> {
  if (Object.hasOwn(etl, name)) return { ok: true, value: name }
  const there = Object.keys(etl)
  return declined(404, 'unknown-job', 'There is no such ETL job', there.length === 0 ? 'The definition has none.' : `There are: ${there.join(', ')}.`)
}

export function busyProblem(run: EtlRun): Problem {
  const address = runAddress(run)
  return {
    status: 409,
    slug: 'run-going',
    title: 'A run of this job is going',
    detail: `It is ${run.id} (${run.loadType}), at ${address}. Wait until it has ended, or cancel it. Nothing was begun.`,
    more: { run: run.id, url: address },
    headers: { location: address },
  }
}
