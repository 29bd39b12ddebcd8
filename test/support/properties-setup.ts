/** Properties run on the same cases every time, so that a red run can be run again; AFLUENTE_SEED tries others. */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env['AFLUENTE_SEED'] ?? 20_261_122) })
