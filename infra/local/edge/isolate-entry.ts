/**
 * Runs inside the isolate: gives a function's module the globals of Supabase's Edge Runtime (`Deno.serve` that takes the
 * host's requests, `EdgeRuntime.waitUntil`, the `beforeunload` event with its reason), then loads it.
 * Argument: the URL of the module.
 */
import process from 'node:process'
import { clockShiftOf, shiftClock } from '../shifted-clock.ts'
import { isToIsolate, type FromIsolate } from './messages.ts'

const heapEveryMs = 1000
const tell = (message: FromIsolate): void => void process.send?.(message)

let pending = 0
const settled = (): void => tell({ type: 'pending', count: --pending })

Object.defineProperty(globalThis, 'EdgeRuntime', {
  value: Object.freeze({
    waitUntil: (promise: Promise<unknown>): Promise<unknown> => {
      tell({ type: 'pending', count: ++pending })
      // A rejection that nobody handles stays one: it ends the isolate, as in the cloud.
      void promise.finally(settled)
      return promise
    },
  }),
})

process.on('message', (message: unknown) => {
  if (isToIsolate(message)) dispatchEvent(new CustomEvent('beforeunload', { detail: { reason: message.reason } }))
})
// The host is gone: nobody would take this isolate's answers or hold it to its limits.
process.on('disconnect', () => Deno.exit(0))

const listen = Deno.serve.bind(Deno)

type Handler = (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => Response | Promise<Response>

/** All the forms of Deno.serve; ports and addresses are the host's to choose. */
function serve(...given: readonly unknown[]): Deno.HttpServer<Deno.NetAddr> {
  const handler = given.flatMap((argument) => [argument, handlerOf(argument)]).find(isHandler)
  if (handler === undefined) throw new TypeError('Deno.serve needs a handler')
  return listen({ port: 0, hostname: '127.0.0.1', onListen: ({ port }) => tell({ type: 'serving', port }) }, async (request, info) => {
    try {
      return await handler(request, info)
    } catch (error) {
      console.error(error)
      return Response.json({ code: 'WORKER_ERROR', message: 'Function exited due to an error (please check logs)' }, { status: 500 })
    }
  })
}

function handlerOf(argument: unknown): unknown {
  if (typeof argument !== 'object' || argument === null) return undefined
  if ('handler' in argument) return argument.handler
  return 'fetch' in argument ? argument.fetch : undefined
}

function isHandler(value: unknown): value is Handler {
  return typeof value === 'function'
}

Object.defineProperty(Deno, 'serve', { value: serve })

setInterval(() => {
  const { heapUsed, external } = Deno.memoryUsage()
  tell({ type: 'heap', bytes: heapUsed + external })
}, heapEveryMs)

const shift = clockShiftOf(Deno.env.toObject())
if (shift !== undefined) shiftClock(globalThis, shift)

const [module = ''] = Deno.args
await import(module)
