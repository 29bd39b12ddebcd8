/** The ports of a backfill and of a redrive, each call of them a boundary with its name. */
import type { Backfills } from '../../../shared/ports/backfills.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { Redrives } from '../../../shared/ports/redrives.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import type { SourceRows } from '../../../shared/ports/source-rows.ts'
import type { BackfillBoundary, RedriveBoundary } from './boundaries.ts'
import type { Through } from './ports.ts'

export function backfillsOf({ call }: Through<BackfillBoundary>, backfills: Backfills): Backfills {
  return {
    hold: (of, options) => call('backfill.hold', () => backfills.hold(of, options)),
    send: (sending, options) => {
      const isNew = sending.reached !== null
      const boundary = isNew ? 'backfill.send' : sending.keys.length > 0 ? 'backfill.send-waiting' : 'backfill.renew'
      return call(boundary, () => backfills.send(sending, options))
    },
    release: (of, options) => call('backfill.release', () => backfills.release(of, options)),
    // Those are a person's, who asks again.
    start: backfills.start,
    steer: backfills.steer,
    list: backfills.list,
  }
}

export function sourceRowsOf({ call }: Through<BackfillBoundary>, rows: SourceRows): SourceRows {
  return { ...rows, page: (...of) => call('backfill.read', () => rows.page(...of)) }
}

export function redrivesOf({ call }: Through<RedriveBoundary>, redrives: Redrives): Redrives {
  return {
    running: (...of) => call('redrive.look', () => redrives.running(...of)),
    take: (...of) => call('redrive.take', () => redrives.take(...of)),
    settle: (...of) => call('redrive.settle', () => redrives.settle(...of)),
    finish: (...of) => call('redrive.finish', () => redrives.finish(...of)),
    // A word for people, of one that fails anyway.
    hold: redrives.hold,
    start: redrives.start,
    list: redrives.list,
    find: redrives.find,
    cancel: redrives.cancel,
  }
}

export function redrivenSinkOf({ call }: Through<RedriveBoundary>, sink: Sink): Sink {
  return { ...sink, write: (...of) => call('redrive.write', () => sink.write(...of)) }
}

export function redrivenControlOf({ call }: Through<RedriveBoundary>, control: Control): Control {
  return { ...control, take: (...of) => call('redrive.fence', () => control.take(...of)) }
}
