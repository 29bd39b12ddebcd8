import type { AnyPipeline } from '../../shared/engine/define.ts'
import type { OutboundMessage } from '../../shared/events/envelope.ts'
import type { Cancellable } from '../../shared/ports/cancellable.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import type { Control } from '../../shared/ports/control.ts'
import type { EtlControl } from '../../shared/ports/etl-control.ts'
import type { Letters } from '../../shared/ports/letters.ts'
import type { Log } from '../../shared/ports/log.ts'
import type { Operations } from '../../shared/ports/operations.ts'
import type { Backlog } from '../../shared/ports/outbox.ts'
import type { Purges } from '../../shared/ports/purges.ts'
import type { Reconciliations } from '../../shared/ports/reconciliations.ts'
import type { Redrives } from '../../shared/ports/redrives.ts'
import type { Replays } from '../../shared/ports/replays.ts'
import type { Shadows } from '../../shared/ports/shadows.ts'
import type { Copies, History, WaitingChanges } from '../../shared/ports/traces.ts'
import type { Watermarks } from '../../shared/ports/watermarks.ts'
import type { InstanceStatus } from '../deliver/handler.ts'
import type { EtlJobStatus } from '../etl/handler.ts'

/** All instances of a consumer, wherever they run. */
export interface Fleet {
  status(consumer: string): Promise<readonly InstanceStatus[]>
  wake(consumer: string): Promise<readonly InstanceStatus[]>
  stop(consumer: string): Promise<readonly InstanceStatus[]>
  resume(consumer: string): Promise<readonly InstanceStatus[]>
}

/** The object of each ETL job. */
export interface EtlObjects {
  status(job: string): Promise<EtlJobStatus>
  /** Works at once on the run that is going. */
  hurry(job: string): Promise<unknown>
  /** Each minute: begins what is due, and works on the run that is `going`. */
  tick(job: string, of: { readonly going: boolean }): Promise<unknown>
}

/** One of the parts that everything rests on. `look` throws when it is down; a text it resolves with is a remark for people. */
export interface Probe {
  readonly name: string
  readonly look: (options: Cancellable) => Promise<unknown>
}

export interface ApiDeps {
  readonly token: string
  readonly version: string
  readonly environment: string
  readonly pipeline: AnyPipeline
  readonly probes: readonly Probe[]
  readonly fleet: Fleet
  readonly control: Pick<Control, 'progress' | 'floors'>
  readonly operations: Operations
  readonly letters: Letters
  readonly redrives: Pick<Redrives, 'start' | 'list' | 'find' | 'cancel'>
  readonly purges: Pick<Purges, 'states'>
  readonly reconciliations: Pick<Reconciliations, 'latest'>
  readonly replays: Pick<Replays, 'count' | 'ends' | 'start' | 'swap' | 'list' | 'find' | 'cancel' | 'shadows' | 'forget'>
  /** By consumer. */
  readonly shadows: Readonly<Record<string, (() => Pick<Shadows, 'drop'>) | undefined>>
  /** Puts a message on its topic; false when it is too large for it. */
  readonly send: (message: OutboundMessage, options: Cancellable) => Promise<boolean>
  /** Where the changes of one key are; `copies` by consumer, of those that keep the present row of each key. */
  readonly traces: WaitingChanges & History & { readonly copies: Readonly<Record<string, Copies | undefined>> }
  readonly outbox: { backlog(options: Cancellable): Promise<Backlog> }
  readonly watermarks: Watermarks
  /** The runs of ETL jobs. */
  readonly etl: { readonly control: Omit<EtlControl, 'running'>; readonly objects: Pick<EtlObjects, 'hurry' | 'status'> }
  /** A uuid that nobody has had before. */
  readonly newId: () => string
  /** Rings capture's doorbell. */
  readonly ring: (options: Cancellable) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}
