import { statfsSync } from 'node:fs'
import { Fault } from './fault.ts'

const wantedBytes = 1_000_000_000

/** @throws Fault when less than 1 GB is free where the data will lie: Kafka and Postgres end badly on a full disk. */
export function assertDiskSpace(directory: string, free: (directory: string) => number = freeBytes): void {
  const bytes = free(directory)
  if (bytes >= wantedBytes) return
  throw new Fault(
    `The disk under ${directory} has ${Math.floor(bytes / 1_000_000)} MB free; the stack wants at least 1 GB`,
    'Make room, or set AFLUENTE_HOME to a folder on another disk (`npm run reset` removes what the stack kept)',
  )
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}
