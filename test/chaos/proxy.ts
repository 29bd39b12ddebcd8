/** A TCP proxy on 127.0.0.1 that can be a bad network: slow, silent, broken. What goes through it is never changed. */
import { once } from 'node:events'
import { createServer, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { choosePorts } from '../../infra/local/ports.ts'

/** How the network behaves just now. */
export interface Weather {
  readonly latencyMs?: number
  readonly jitterMs?: number
  /** Nothing passes, in either direction; what comes is kept. */
  readonly blackHole?: boolean
  /** New connections are reset. */
  readonly refuse?: boolean
  /** The end of one side is told to the other so much later. */
  readonly slowCloseMs?: number
  /** A connection is reset once it has brought so many more bytes in this direction. */
  readonly cut?: { readonly afterBytes: number; readonly toServer: boolean }
}

export interface ProxyCounts {
  connections: number
  /** Connections that were reset on purpose, all at once or refused. */
  resets: number
  /** Connections that were reset in the midst of what they brought. */
  cuts: number
  /** Pieces that waited in a black hole. */
  held: number
}

export interface Proxy {
  readonly port: number
  readonly counts: Readonly<ProxyCounts>
  become(weather: Weather): void
  /** Resets every connection there is. */
  reset(): void
  close(): Promise<void>
}

export interface ProxyOptions {
  readonly port: number
  readonly serverPort: number
  /** 0 ≤ n < 1, for the jitter. */
  readonly random: () => number
  /** Asked for each connection, by its port as the server sees it; what it gives sees what goes to the server, right before it does. */
  readonly tap?: (connection: number) => (bytes: Buffer) => void
}

export async function startProxy({ port, serverPort, random, tap }: ProxyOptions): Promise<Proxy> {
  const counts: ProxyCounts = { connections: 0, resets: 0, cuts: 0, held: 0 }
  const pairs = new Set<readonly [Socket, Socket]>()
  let weather: Weather = {}
  let changed = Promise.withResolvers<void>()
  let closing = false

  /** Resolves when bytes may pass to `to`; false when nobody takes them any more. */
  const passes = async (to: Socket): Promise<boolean> => {
    if (weather.blackHole === true) counts.held += 1
    while (weather.blackHole === true && !to.destroyed) await changed.promise
    const ms = (weather.latencyMs ?? 0) + (weather.jitterMs ?? 0) * random()
    if (ms > 0) await sleep(ms)
    return !to.destroyed
  }

  const pump = async (from: Socket, to: Socket, toServer: boolean): Promise<void> => {
    let brought = 0
    let cutting: Weather['cut']
    const see = toServer ? tap?.(to.localPort ?? 0) : undefined
    const gone = new AbortController()
    to.once('close', () => gone.abort())
    for await (const piece of piecesOf(from)) {
      if (!(await passes(to))) return
      const { cut } = weather
      if (cut !== cutting) [brought, cutting] = [0, cut]
      brought += piece.length
      if (cut !== undefined && cut.toServer === toServer && brought > cut.afterBytes) {
        counts.cuts += 1
        const left = cut.afterBytes - (brought - piece.length)
        if (left > 0) await new Promise<void>((resolve) => void to.write(piece.subarray(0, left), () => resolve()))
        throw new Error('cut')
      }
      see?.(piece)
      if (!to.write(piece)) await once(to, 'drain', { signal: gone.signal })
    }
    if (weather.slowCloseMs !== undefined) await sleep(weather.slowCloseMs)
    if (await passes(to)) to.end()
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    counts.connections += 1
    client.on('error', ignore)
    if (weather.refuse === true || closing) {
      counts.resets += 1
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const pair = [client, upstream] as const
    pairs.add(pair)
    const broken = (): void => {
      for (const socket of pair) if (!socket.destroyed) socket.resetAndDestroy()
    }
    upstream.on('error', ignore)
    upstream.once('error', () => client.resetAndDestroy())
    for (const socket of pair) {
      socket.once('close', () => {
        if (client.destroyed && upstream.destroyed) pairs.delete(pair)
      })
    }
    const flow = (from: Socket, to: Socket): void => void pump(from, to, to === upstream).catch(broken)
    upstream.once('connect', () => {
      flow(client, upstream)
      flow(upstream, client)
    })
  })
  server.listen({ port, host: '127.0.0.1' })
  await once(server, 'listening')

  const reset = (): void => {
    for (const pair of pairs) {
      counts.resets += 1
      for (const socket of pair) if (!socket.destroyed) socket.resetAndDestroy()
    }
  }
  return {
    port,
    counts,
    become: (next) => {
      weather = next
      changed.resolve()
      changed = Promise.withResolvers<void>()
    },
    reset,
    close: async () => {
      closing = true
      weather = {}
      changed.resolve()
      reset()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Until its end, or its break: what a killed process had sent before still arrives. */
async function* piecesOf(socket: Socket): AsyncGenerator<Buffer> {
  const pieces: AsyncIterable<Buffer> = socket.iterator({ destroyOnReturn: false })
  try {
    yield* pieces
  } catch {
    return
  }
}

/** A proxy for one test, on any free port. */
export async function startProxyBefore(serverPort: number): Promise<Proxy> {
  const { supabase: port } = await choosePorts('free')
  return startProxy({ port, serverPort, random: Math.random })
}

function ignore(): void {}
