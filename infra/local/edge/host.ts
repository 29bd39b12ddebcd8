/** HTTP of the edge host: `/<function>`, and what people and tests ask of the host itself. */
import type { Isolate } from './isolate.ts'
import type { Log } from './log.ts'
import type { Pool } from './pool.ts'

export interface HostDeps {
  readonly pools: ReadonlyMap<string, Pool>
  readonly log: Log
}

export interface Host {
  handle(request: Request): Promise<Response>
}

/** Says that an invocation was asked for by the function itself, before its budget was spent. */
const handOverHeader = 'x-afluente-handover'

export function createHost(deps: HostDeps): Host {
  const counters = { requests: 0, handOvers: 0 }

  const stats = (): Record<string, unknown> => {
    const functions = Object.fromEntries([...deps.pools].map(([name, pool]) => [name, pool.stats]))
    const all = Object.values(functions)
    const sum = (key: 'booted' | 'running' | 'killedForCpu' | 'killedForWall' | 'killedForMemory' | 'crashed' | 'dropped') =>
      all.reduce((total, each) => total + each[key], 0)
    return {
      isolates: sum('booted'),
      running: sum('running'),
      ...counters,
      killedForCpu: sum('killedForCpu'),
      killedForWall: sum('killedForWall'),
      killedForMemory: sum('killedForMemory'),
      crashed: sum('crashed'),
      dropped: sum('dropped'),
      cpuMs: all.flatMap((each) => each.cpuMs),
      bootMs: all.flatMap((each) => each.bootMs),
    }
  }

  return {
    handle: async (request) => {
      const url = new URL(request.url)
      if (url.pathname === '/_health') return Response.json({ ok: true })
      if (url.pathname === '/_stats') return Response.json(stats())
      if (url.pathname === '/_kill' && request.method === 'POST') {
        const killed = [...deps.pools.values()].map((pool) => pool.kill()).some((each) => each)
        return Response.json({ killed })
      }
      const pool = deps.pools.get(url.pathname.split('/')[1] ?? '')
      if (pool === undefined) return Response.json({ code: 'NOT_FOUND', message: 'Requested function was not found' }, { status: 404 })
      counters.requests += 1
      if (request.headers.has(handOverHeader)) counters.handOvers += 1
      const isolate = pool.current()
      try {
        return await isolate.fetch(request, `${url.pathname}${url.search}`)
      } catch (error) {
        return failed(isolate, error, deps.log)
      }
    },
  }
}

async function failed(isolate: Isolate, error: unknown, log: Log): Promise<Response> {
  // The connection breaks a moment before the process is seen to be gone.
  await Promise.race([isolate.ended, new Promise((resolve) => setTimeout(resolve, 500))])
  if (isolate.endedFor === 'cpu' || isolate.endedFor === 'wall_clock' || isolate.endedFor === 'memory') {
    return Response.json({ code: 'WORKER_LIMIT', message: 'Function failed due to not having enough compute resources (please check logs)' }, { status: 546 })
  }
  log('request.failed', { isolate: isolate.id, reason: error instanceof Error ? error.message : String(error) })
  return Response.json({ code: 'WORKER_ERROR', message: 'Function exited due to an error (please check logs)' }, { status: 500 })
}
