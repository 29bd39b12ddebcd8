/**
 * Reads along what goes to the analytics database: which epoch each writer says it holds. Postgres' protocol, the client's side,
 * as far as that needs it: a Parse names a statement, a Bind carries its parameters.
 */

/** One execution of a statement that carries a fence. */
export interface Claim {
  /** The connection's port, as the server sees it, and when the statement went out: between this and the connection's next one it ran. */
  readonly connection: number
  readonly atMs: number
  readonly consumer: string
  readonly topic: string
  readonly partition: number
  readonly epoch: number
}

export interface ClaimReader {
  /** For a connection that is opened: what takes its bytes, in the order they are sent. */
  open(connection: number): (bytes: Buffer) => void
  /** Every statement that was executed, with its fence where it has one. */
  readonly statements: readonly (Claim | { readonly connection: number; readonly atMs: number })[]
}

/** What a statement with a fence looks like; its first four parameters are the fence (`FENCE` in shared/adapters/postgres). */
const FENCED = /ops\.consumer_progress[\s\S]*epoch = \$4/
/** A start-up message has no letter before its length; its protocol number is 3.0. What asks for TLS has another. */
const PROTOCOL_3 = 196_608

export function createClaimReader(now: () => number): ClaimReader {
  const statements: (Claim | { readonly connection: number; readonly atMs: number })[] = []

  return {
    statements,
    open: (connection) => {
      const texts = new Map<string, string>()
      let rest: Buffer = Buffer.alloc(0)
      let started = false
      const take = (type: string, body: Buffer): void => {
        const [first = '', second = ''] = textsOf(body)
        if (type === 'P') texts.set(first, second)
        if (type !== 'B' && type !== 'Q') return
        const at = { connection, atMs: now() }
        const [consumer, topic, partition, epoch] = type === 'B' && FENCED.test(texts.get(second) ?? '') ? parametersOf(body, 4) : []
        statements.push(consumer === undefined || topic === undefined ? at : { ...at, consumer, topic, partition: Number(partition), epoch: Number(epoch) })
      }
      return (bytes) => {
        rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
        for (;;) {
          const head = started ? 1 : 0
          if (rest.length < head + 4) return
          const end = head + rest.readInt32BE(head)
          if (rest.length < end) return
          const message = rest.subarray(0, end)
          rest = rest.subarray(end)
          if (started) take(String.fromCharCode(message[0] ?? 0), message.subarray(5))
          else started = message.length >= 8 && message.readInt32BE(4) === PROTOCOL_3
        }
      }
    },
  }
}

/** The first two texts of a message: each ends with a zero. */
function textsOf(body: Buffer): string[] {
  const first = body.indexOf(0)
  const second = body.indexOf(0, first + 1)
  return [body.toString('utf8', 0, first), body.toString('utf8', first + 1, second)]
}

/** The first `count` parameters of a Bind as text; a null counts as none. */
function parametersOf(body: Buffer, count: number): string[] {
  let at = body.indexOf(0, body.indexOf(0) + 1) + 1
  at += 2 + 2 * body.readInt16BE(at)
  const present = body.readInt16BE(at)
  at += 2
  const values: string[] = []
  for (let left = Math.min(count, present); left > 0; left -= 1) {
    const length = body.readInt32BE(at)
    at += 4
    if (length < 0) continue
    values.push(body.toString('utf8', at, at + length))
    at += length
  }
  return values
}
