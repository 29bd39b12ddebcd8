/** How a statement holds a job: $1 its name, $2 the epoch, $3 the run. */
export const LEASE_MS = 30_000

/** Whoever takes the job over waits for a statement that holds its row, or the statement finds nothing. */
export const HELD = `where j.job = $1 and j.epoch = $2 and j.execution_id = $3`
