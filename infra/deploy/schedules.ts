import type { AnyPipeline } from '../../shared/engine/define.ts'
import { nextFires, onItsClock } from '../../shared/engine/etl-schedule.ts'
import type { EtlSchedule } from '../../shared/tables/etl-job.ts'

/** The next three moments of each schedule, so that whoever wrote it sees what it means. The definition must be sound. */
export function scheduleLines({ etl = {} }: AnyPipeline, now: number): readonly string[] {
  const line = (what: string, schedule: EtlSchedule | undefined) =>
    schedule === undefined
      ? []
      : [
          `${what} at ${nextFires(schedule, now, 3)
            .map((moment) => onItsClock(moment, schedule))
            .join(', ')}, … (${schedule.timeZone})`,
        ]
  return Object.entries(etl).flatMap(([name, { reconcile, schedule }]) => [
    ...line(`etl: ${name} loads`, schedule),
    ...line(`etl: ${name} is reconciled`, reconcile),
  ])
}
