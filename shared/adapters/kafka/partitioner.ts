/** Which partition a key goes to: murmur2, as Java clients and kafkajs's default do it, without its big-integer arithmetic. */

interface PartitionerArguments {
  readonly partitionMetadata: readonly unknown[]
  readonly message: { readonly key?: unknown; readonly partition?: number }
}

const encoder = new TextEncoder()
const SEED = 0x9747b28c
const M = 0x5bd1e995

/** For kafkajs's `createPartitioner`. Every message has a key, so no state is kept; one without goes to partition 0. */
export function keyPartitioner(): (args: PartitionerArguments) => number {
  return ({ message: { key, partition }, partitionMetadata }) => partition ?? (murmur2(bytesOf(key)) & 0x7fffffff) % partitionMetadata.length
}

/** A key of ASCII is written here: keys are short, and each call of the encoder makes an array with a storage of its own. */
const scratch = new Uint8Array(256)

/** The hash as a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const at = (index: number): number => bytes[index] ?? 0
  let hash = SEED ^ length
  const whole = length & ~3
  for (let index = 0; index < whole; index += 4) {
    let word = at(index) | (at(index + 1) << 8) | (at(index + 2) << 16) | (at(index + 3) << 24)
    word = Math.imul(word, M)
    word = Math.imul(word ^ (word >>> 24), M)
    hash = Math.imul(hash, M) ^ word
  }
  const left = length - whole
  if (left === 3) hash ^= at(whole + 2) << 16
  if (left >= 2) hash ^= at(whole + 1) << 8
  if (left >= 1) hash = Math.imul(hash ^ at(whole), M)
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}

function bytesOf(key: unknown): Uint8Array {
  if (key instanceof Uint8Array) return key
  return typeof key === 'string' ? (asciiBytesOf(key) ?? encoder.encode(key)) : new Uint8Array()
}

/** Good until the next call; null for a long key, or another than ASCII. */
function asciiBytesOf(key: string): Uint8Array | null {
  const { length } = key
  if (length > scratch.length) return null
  for (let index = 0; index < length; index += 1) {
    const unit = key.charCodeAt(index)
    if (unit > 0x7f) return null
    scratch[index] = unit
  }
  return scratch.subarray(0, length)
}
