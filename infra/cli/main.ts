/** `npx afluente VERB`. Exit 0 well, 1 a fault found, 2 wrong use. */
import { describe } from '../local/fault.ts'
import { readEnvironment } from '../local/settings.ts'
import { backfill } from './backfill.ts'
import { dlq } from './dlq.ts'
import { etl } from './etl.ts'
import { rebase } from './rebase.ts'
import { reconcile } from './reconcile.ts'
import { replay } from './replay.ts'
import { runVerb } from './run.ts'
import { terminalSeat } from './seat.ts'
import { shadow } from './shadow.ts'
import { status } from './status.ts'
import { sync } from './sync.ts'
import { trace } from './trace.ts'

process.stdout.on('error', () => undefined)

process.exitCode = await runVerb(
  { status, trace, dlq, backfill, sync, replay, shadow, reconcile, etl, rebase },
  {
    args: process.argv.slice(2),
    env: readEnvironment(process.env),
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    describe,
    seat: terminalSeat(process),
  },
)
