/** What host and isolate tell each other over their pipe. */
export type Reason = 'cpu' | 'wall_clock' | 'memory' | 'early_drop'

export type ToIsolate = { readonly type: 'beforeunload'; readonly reason: Reason }

export type FromIsolate =
  /** The module has called Deno.serve; requests are taken on this port of the loopback. */
  | { readonly type: 'serving'; readonly port: number }
  /** How many promises handed to EdgeRuntime.waitUntil are still open. */
  | { readonly type: 'pending'; readonly count: number }
  | { readonly type: 'heap'; readonly bytes: number }

export function isFromIsolate(message: unknown): message is FromIsolate {
  return typeof message === 'object' && message !== null && 'type' in message && ['serving', 'pending', 'heap'].includes(String(message.type))
}

export function isToIsolate(message: unknown): message is ToIsolate {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'beforeunload'
}
