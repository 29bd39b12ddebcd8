/**
 * One isolate: a Deno process that runs one function. A process and not a Web Worker, because the host must be able to end
 * it at any instruction: `Worker.terminate()` leaves a busy loop running (tried on Deno 2.9), and a CPU limit is about
 * just that. It boots as fast as a worker does, and the kernel says what it has used.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { threadCpuMs } from './cpu.ts'
import { isFromIsolate, type Reason, type ToIsolate } from './messages.ts'

export interface Isolate {
  readonly id: number
  readonly startedAtMs: number
  /** When it took its first request: the cloud boots an isolate for a request, so its wall clock starts here. */
  readonly firstRequestAtMs: number | undefined
  /** Requests not yet answered to the end, and promises given to waitUntil. */
  readonly openRequests: number
  readonly openPromises: number
  /** When it last had something to do. */
  readonly busyAtMs: number
  readonly heapBytes: number
  /** Resolves when the module has called Deno.serve; rejects when it ended before. */
  readonly ready: Promise<void>
  /** CPU since it was ready: what Deno spends on finding and compiling the module is done at deploy time in the cloud. */
  cpuMs(): number
  /** CPU before it was ready. */
  readonly bootCpuMs: number
  readonly bootMs: number
  /** Why the host ended it; undefined while it runs or when it ended by itself. */
  readonly endedFor: EndReason | undefined
  readonly ended: Promise<void>
  fetch(request: Request, path: string): Promise<Response>
  /** Tells the function that it is about to be ended. */
  warn(reason: Reason): void
  /** Ends it at once, whatever it does. */
  end(reason: EndReason): void
}

export type EndReason = Reason | 'killed' | 'shutdown'

export interface IsolateDeps {
  readonly id: number
  readonly module: string
  readonly memoryMb: number
  readonly now: () => number
  readonly configFile: string
}

export function bootIsolate(deps: IsolateDeps): Isolate {
  const child = start(deps)
  const startedAtMs = deps.now()
  const state = { port: 0, heapBytes: 0, openRequests: 0, openPromises: 0, busyAtMs: startedAtMs, bootCpuMs: 0, bootMs: 0, cpuMs: 0 }
  let firstRequestAtMs: number | undefined
  let endedFor: EndReason | undefined
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))

  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message: unknown) => {
      if (!isFromIsolate(message)) return
      if (message.type === 'heap') state.heapBytes = message.bytes
      if (message.type === 'pending') {
        state.openPromises = message.count
        state.busyAtMs = deps.now()
      }
      if (message.type === 'serving') {
        state.port = message.port
        state.bootMs = deps.now() - startedAtMs
        state.bootCpuMs = threadCpuMs(child.pid ?? 0) ?? 0
        resolve()
      }
    })
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      reject(new Error(`The isolate ended before it served (${signal ?? `exit ${code}`}). Its own error stands above in the log.`)),
    )
  })
  ready.catch(() => undefined)

  return {
    id: deps.id,
    startedAtMs,
    ready,
    ended,
    get firstRequestAtMs() {
      return firstRequestAtMs
    },
    get openRequests() {
      return state.openRequests
    },
    get openPromises() {
      return state.openPromises
    },
    get busyAtMs() {
      return state.openRequests + state.openPromises > 0 ? deps.now() : state.busyAtMs
    },
    get heapBytes() {
      return state.heapBytes
    },
    get bootCpuMs() {
      return state.bootCpuMs
    },
    get bootMs() {
      return state.bootMs
    },
    get endedFor() {
      return endedFor
    },
    cpuMs: () => {
      const all = state.bootMs === 0 || child.exitCode !== null || child.pid === undefined ? undefined : threadCpuMs(child.pid)
      if (all !== undefined) state.cpuMs = Math.max(0, all - state.bootCpuMs)
      return state.cpuMs
    },
    fetch: async (request, path) => {
      firstRequestAtMs ??= deps.now()
      state.openRequests += 1
      let open = true
      const close = (): void => {
        if (open) state.openRequests -= 1
        open = false
        state.busyAtMs = deps.now()
      }
      try {
        await ready
        const response = await forward(request, `http://127.0.0.1:${state.port}${path}`)
        return new Response(closing(response.body, close), { status: response.status, statusText: response.statusText, headers: response.headers })
      } catch (error) {
        close()
        throw error
      }
    },
    warn: (reason) => {
      const message: ToIsolate = { type: 'beforeunload', reason }
      if (child.connected) child.send(message)
    },
    end: (reason) => {
      endedFor ??= reason
      child.kill('SIGKILL')
    },
  }
}

function start(deps: IsolateDeps): ChildProcess {
  const entry = fileURLToPath(new URL('./isolate-entry.ts', import.meta.url))
  const flags = ['run', '-A', '--quiet', '--no-lock', '--no-check', '--config', deps.configFile, `--v8-flags=--max-old-space-size=${deps.memoryMb}`]
  return spawn(Deno.execPath(), [...flags, entry, deps.module], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...Deno.env.toObject(), NO_COLOR: '1' },
  })
}

function forward(request: Request, url: string): Promise<Response> {
  const headers = new Headers(request.headers)
  headers.delete('host')
  headers.delete('connection')
  return fetch(url, { method: request.method, headers, body: request.body, redirect: 'manual' })
}

/** Calls `close` when the body has been read, dropped or broken; a null body closes at once. */
function closing(body: ReadableStream<Uint8Array> | null, close: () => void): ReadableStream<Uint8Array> | null {
  if (body === null) {
    close()
    return null
  }
  const reader = body.getReader()
  return new ReadableStream({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read()
        if (!done) return controller.enqueue(value)
        close()
        controller.close()
      } catch (error) {
        close()
        controller.error(error)
      }
    },
    cancel: (reason) => {
      close()
      return reader.cancel(reason)
    },
  })
}
