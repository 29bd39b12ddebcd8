/** Supabase as capture sees it: PostgREST's functions over the outbox's memory twin, and the gateway to its own function. */
import { systemClock } from '../../shared/adapters/clock.ts'
import { type MemorySource, memorySource } from '../../shared/adapters/memory/source.ts'

export interface SupabaseStub {
  readonly url: string
  readonly source: MemorySource
  /** What was called, in order. */
  readonly calls: { readonly name: string; readonly headers: Headers }[]
  /** Where calls of /functions/v1/… go. */
  edge: string
  close(): Promise<void>
}

export function supabaseStub(): SupabaseStub {
  const source = memorySource({ clock: systemClock() })
  const calls: SupabaseStub['calls'] = []
  const ended = new AbortController()
  const milliseconds = (interval: string) => Number(interval.split(' ')[0])

  // oxlint-disable-next-line typescript/no-explicit-any -- tests look at what comes
  const rpc = async (name: string, args: any, signal: AbortSignal): Promise<unknown> => {
    const { outbox } = source
    switch (name) {
      case 'claim': {
        const claim = await outbox.claim(
          {
            shard: args.shard,
            owner: args.owner,
            leaseMs: milliseconds(args.lease),
            floor: args.floor,
            beside: args.beside,
            maxRows: args.max_rows,
            maxBytes: args.max_bytes,
            waitMs: milliseconds(args.wait),
          },
          { signal },
        )
        if (claim.status !== 'held') return claim
        const rows = claim.changes.map((change) => [
          change.version,
          change.table,
          change.topic,
          change.key,
          change.op,
          change.before,
          change.after,
          change.occurredAt,
          change.traceparent,
        ])
        return { status: 'held', epoch: claim.epoch, rows, more: claim.more }
      }
      case 'acknowledge':
        return outbox.acknowledge(args.shard, args.epoch, args.versions, { signal })
      case 'release':
        return outbox.release(args.shard, args.epoch, { signal })
      default:
        throw new Error(`no function ${name}`)
    }
  }

  const server = Deno.serve({ port: 0, hostname: '127.0.0.1', onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url)
    if (pathname.startsWith('/functions/v1/')) {
      return fetch(`${stub.edge}${pathname.slice('/functions/v1'.length)}${search}`, {
        method: request.method,
        headers: request.headers,
        body: await request.text(),
      })
    }
    const name = pathname.replace('/rest/v1/rpc/', '')
    calls.push({ name, headers: request.headers })
    try {
      return Response.json(await rpc(name, await request.json(), ended.signal))
    } catch {
      return Response.json({ code: 'PGRST001', message: 'closing' }, { status: 503 })
    }
  })
  const stub: SupabaseStub = {
    url: `http://127.0.0.1:${server.addr.port}`,
    source,
    calls,
    edge: '',
    close: async () => {
      ended.abort()
      await server.shutdown()
    },
  }
  return stub
}

/** Commits one row in a transaction of its own. */
export function write(source: MemorySource, key: string, after: string): void {
  const transaction = source.begin()
  transaction.write({ table: 'public.leads', key: `["${key}"]`, after })
  transaction.commit()
}
