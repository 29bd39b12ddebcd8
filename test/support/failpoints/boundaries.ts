/**
 * The names of the step boundaries: every point at which capture, deliver, a backfill and a redrive touch the world. What they do between two of them has
 * no effect on anybody, so a kill anywhere is a kill at one of these. The product knows nothing of them: tests put them around its ports.
 */

export const captureBoundaries = [
  'capture.connect',
  /** A look from the bottom, by which the lease is taken or renewed. */
  'capture.claim',
  /** The next batch, claimed while one is published. */
  'capture.claim-beside',
  /** The last look, after the shard was let go. */
  'capture.claim-again',
  'capture.renew',
  'capture.publish',
  /** What the broker found too large, as its keys alone. */
  'capture.publish-keys',
  'capture.acknowledge',
  'capture.hand-over',
  'capture.rest',
  'capture.release',
] as const

export const deliverBoundaries = [
  /** A batch is handed over; its end is handed back. */
  'deliver.batch',
  'deliver.take',
  /** Its first record is read; its last. */
  'deliver.decode',
  'deliver.raise-floor',
  'deliver.sweep',
  'deliver.write',
  /** Progress, where the sink keeps none: after the index has the batch. */
  'deliver.advance',
  'deliver.bury-topic',
  'deliver.bury-bronze',
  'deliver.bury-ops',
  'deliver.commit',
] as const

export const backfillBoundaries = [
  'backfill.hold',
  /** A page of keys. */
  'backfill.read',
  'backfill.send',
  /** Keys that somebody held, once more. */
  'backfill.send-waiting',
  'backfill.renew',
  'backfill.rest',
  'backfill.release',
] as const

export const redriveBoundaries = ['redrive.look', 'redrive.take', 'redrive.fence', 'redrive.write', 'redrive.settle', 'redrive.finish'] as const

export type CaptureBoundary = (typeof captureBoundaries)[number]
export type DeliverBoundary = (typeof deliverBoundaries)[number]
export type BackfillBoundary = (typeof backfillBoundaries)[number]
export type RedriveBoundary = (typeof redriveBoundaries)[number]
export type Boundary = CaptureBoundary | DeliverBoundary | BackfillBoundary | RedriveBoundary

/** `before` the step has its effect, or `after` it had, with nobody told. */
export type Moment = 'before' | 'after'
export const moments: readonly Moment[] = ['before', 'after']
