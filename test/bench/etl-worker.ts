/** The real Worker in workerd, its inspector open: what its isolate holds while it loads. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EtlRun } from '../../shared/ports/etl-control.ts'
import type { EtlDatabases } from './etl-databases.ts'
import { startOwnWorker } from '../support/own-worker.ts'
import { workerRoot } from './stack.ts'

const MB = 1_048_576
const LOOK_MS = 10

export interface Held {
  readonly run: EtlRun
  /** The most at one look, with what nobody had collected yet; buffers lie outside V8's heap. */
  readonly heapMb: number
  readonly buffersMb: number
  readonly bothMb: number
}

/** A full load of the job `conversations` from `relation`. `heapLimitMb`: what V8 may take at most, buffers aside; null: as much as it likes. */
export async function heldByWorker({ analyticsUrl, chatwootUrl, folder }: EtlDatabases, relation: string, heapLimitMb: number | null): Promise<Held> {
  const fromTable = (text: string) => text.replace('public.vw_conversations_analytics_final', relation)
  const root =
    relation === 'bench.conversations' ? await workerRoot(await mkdtemp(join(folder, 'worker-')), fromTable, 'shared/tables/conversas_analytics.ts') : undefined
  process.env['MINIFLARE_WORKERD_V8_FLAGS'] = heapLimitMb === null ? '' : `--max-heap-size=${heapLimitMb}`
  const env = { ANALYTICS_DATABASE_URL: analyticsUrl, CHATWOOT_DATABASE_URL: chatwootUrl }
  const worker = await startOwnWorker({ env, inspected: true, ...(root === undefined ? {} : { root }) })
  const { ask } = worker
  const heap = await inspected(await worker.inspectorList(), worker.name)
  try {
    const most = { heap: 0, buffers: 0, both: 0 }
    let { run } = await ask<{ run: EtlRun }>('/api/etl/conversations/runs', { full: true })
    for (let nth = 1; run.status === 'running'; nth += 1) {
      const { backingStorageSize, usedSize } = await heap.usage()
      most.heap = Math.max(most.heap, usedSize)
      most.buffers = Math.max(most.buffers, backingStorageSize)
      most.both = Math.max(most.both, usedSize + backingStorageSize)
      await sleep(LOOK_MS)
      // Its answers are made in the same isolate.
      if (nth % 20 === 0) run = await ask<EtlRun>(`/api/etl/conversations/runs/${run.id}`)
    }
    if (run.status !== 'success') throw new Error(`the run ended otherwise: ${run.status}, ${run.error ?? ''}`)
    const mb = (bytes: number) => Math.round(bytes / MB)
    return { run, heapMb: mb(most.heap), buffersMb: mb(most.buffers), bothMb: mb(most.both) }
  } finally {
    heap.close()
    await worker.close()
  }
}

interface Usage {
  readonly usedSize: number
  readonly backingStorageSize: number
}

async function inspected(listUrl: string, name: string): Promise<{ usage(): Promise<Usage>; close(): void }> {
  const targets = (await (await fetch(listUrl)).json()) as { id: string; webSocketDebuggerUrl: string }[]
  const target = targets.find(({ id }) => id === `core:user:${name}`)
  if (target === undefined) throw new Error(`the inspector has no ${name}; there are ${targets.map(({ id }) => id).join(', ')}`)
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  const waiting = new Map<number, (result: Usage) => void>()
  let last = 0
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result: Usage }
    if (id !== undefined) waiting.get(id)?.(result)
  })
  await new Promise((opened, failed) => {
    socket.addEventListener('open', opened)
    socket.addEventListener('error', failed)
  })
  return {
    usage: () => {
      const { promise, resolve } = Promise.withResolvers<Usage>()
      last += 1
      waiting.set(last, resolve)
      socket.send(JSON.stringify({ id: last, method: 'Runtime.getHeapUsage' }))
      return promise
    },
    close: () => socket.close(),
  }
}
