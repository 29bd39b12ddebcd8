/** Which faults come when: pure, so that a seed has one schedule. */
import type { Random } from '../../infra/simulate/random.ts'

export const killable = ['edge', 'worker', 'kafka', 'elasticsearch', 'analytics', 'source', 'supabase'] as const
export type PartName = (typeof killable)[number]

export const functionNames = ['edge', 'worker'] as const
export type FunctionName = (typeof functionNames)[number]

/** `<who>><server>`: the proxies; `doorbell` stands before the capture function. */
export const linkNames = ['edge>supabase', 'edge>kafka', 'worker>supabase', 'worker>kafka', 'worker>analytics', 'worker>elasticsearch', 'doorbell'] as const
export type LinkName = (typeof linkNames)[number]

export type Fault =
  /** SIGKILL to the part and all it started; it is started again after `forMs`. */
  | { readonly kind: 'kill'; readonly part: PartName; readonly forMs: number }
  /** SIGSTOP, and SIGCONT after `forMs`: when it wakes up, others may hold what it held. */
  | { readonly kind: 'pause'; readonly part: PartName; readonly forMs: number }
  /** Killed, and started with a clock that is off by so much, from `afterMs` of its life on. Its next start has the right time. */
  | { readonly kind: 'wrong-clock'; readonly part: FunctionName; readonly offMs: number; readonly afterMs: number; readonly forMs: number }
  | { readonly kind: 'latency'; readonly link: LinkName; readonly ms: number; readonly jitterMs: number; readonly forMs: number }
  /** Nothing passes, nothing ends; then what was held arrives late, or the connections are reset. */
  | { readonly kind: 'black-hole'; readonly link: LinkName; readonly end: 'late' | 'reset'; readonly forMs: number }
  /** All connections at once. */
  | { readonly kind: 'reset'; readonly link: LinkName; readonly forMs: number }
  /** The end of a connection is passed on so much later. */
  | { readonly kind: 'slow-close'; readonly link: LinkName; readonly ms: number; readonly forMs: number }
  /** Each connection that brings so many more bytes in this direction is reset in the midst of them. */
  | { readonly kind: 'cut'; readonly link: LinkName; readonly afterBytes: number; readonly toServer: boolean; readonly forMs: number }
  | { readonly kind: 'refuse'; readonly link: LinkName; readonly forMs: number }
  /** Somebody sends every lead once more, and is killed in the midst of it; the next one goes on where this one was. */
  | { readonly kind: 'backfill'; readonly rate: number; readonly forMs: number }
  /** Silver refuses a quarter of the leads meanwhile; then it doesn't, and somebody redrives what became dead letters. */
  | { readonly kind: 'letters'; readonly quarter: number; readonly forMs: number }
  | { readonly kind: 'drop-doorbells' | 'double-doorbells'; readonly count: number; readonly forMs: number }

export type Planned = Fault & { readonly atMs: number }

/** Every kind of fault once a round, in an order of its own, some at the same time; all are over at the end. */
export function scheduleOf(random: Random, seconds: number): readonly Planned[] {
  const endMs = seconds * 1_000
  const busyUntil = new Map<string, number>()
  const planned: Planned[] = []
  // A long run leaves more time in between, so that faults meet a stream that flows and not one that stands still anyway.
  const longestGapMs = seconds < 100 ? 2_400 : 5_000
  let atMs = random.whole(500, 1_500)
  while (atMs < endMs - 2_000) {
    for (const draw of shuffled(random, deck)) {
      const fault = draw(random)
      const target = targetOf(fault)
      const from = Math.max(atMs, busyUntil.get(target) ?? 0)
      const forMs = Math.min(fault.forMs, endMs - from)
      atMs += random.whole(400, longestGapMs)
      if (forMs < 200) continue
      planned.push({ ...fault, forMs, atMs: from })
      busyUntil.set(target, from + forMs + restMs)
    }
    // Time to catch up, so that the next round meets a stream that flows.
    atMs += random.whole(1_000, 4_000)
  }
  return planned.toSorted((a, b) => a.atMs - b.atMs)
}

/** So long at least a part or link is well between two faults of its own: starting takes its time. */
const restMs = 2_000

/** What can have one fault at a time. */
export function targetOf(fault: Fault): string {
  if ('part' in fault) return fault.part
  if (fault.kind === 'backfill' || fault.kind === 'letters') return fault.kind
  return 'link' in fault ? fault.link : 'doorbells'
}

type Draw = (random: Random) => Fault

/** Enough goes over these to be cut in the midst of it. */
const busyLinks = linkNames.filter((name) => name !== 'worker>supabase' && name !== 'doorbell')
const minutes = 60_000
const deck: readonly Draw[] = [
  ...killable.map((part): Draw => (random) => ({ kind: 'kill', part, forMs: random.whole(200, 3_000) })),
  ...functionNames.map((part): Draw => (random) => ({ kind: 'pause', part, forMs: random.whole(1_000, 6_000) })),
  (random) => ({ kind: 'pause', part: random.pick(['kafka', 'elasticsearch', 'supabase'] as const), forMs: random.whole(1_000, 5_000) }),
  ...functionNames.map((part): Draw => (random) => ({
    kind: 'wrong-clock',
    part,
    offMs: (random.chance(0.5) ? 1 : -1) * random.whole(2, 15) * minutes,
    afterMs: random.chance(0.5) ? 0 : random.whole(500, 8_000),
    forMs: 200,
  })),
  (random) => ({ kind: 'latency', link: random.pick(linkNames), ms: random.whole(5, 150), jitterMs: random.whole(0, 150), forMs: random.whole(2_000, 6_000) }),
  (random) => ({
    kind: 'latency',
    link: random.pick(linkNames),
    ms: random.whole(200, 800),
    jitterMs: random.whole(0, 600),
    forMs: random.whole(1_000, 4_000),
  }),
  (random) => ({ kind: 'black-hole', link: random.pick(linkNames), end: 'late', forMs: random.whole(1_000, 8_000) }),
  (random) => ({ kind: 'black-hole', link: random.pick(linkNames), end: 'reset', forMs: random.whole(1_000, 8_000) }),
  ...[1, 2].map((): Draw => (random) => ({ kind: 'reset', link: random.pick(linkNames), forMs: 200 })),
  (random) => ({ kind: 'slow-close', link: random.pick(linkNames), ms: random.whole(500, 5_000), forMs: random.whole(2_000, 8_000) }),
  ...[true, false].map((toServer): Draw => (random) => ({
    kind: 'cut',
    link: random.pick(busyLinks),
    toServer,
    afterBytes: random.whole(1, 4_000),
    forMs: random.whole(2_000, 6_000),
  })),
  (random) => ({ kind: 'refuse', link: random.pick(linkNames), forMs: random.whole(500, 4_000) }),
  (random) => ({ kind: 'backfill', rate: random.whole(10, 200), forMs: random.whole(2_000, 8_000) }),
  (random) => ({ kind: 'letters', quarter: random.whole(0, 3), forMs: random.whole(2_000, 8_000) }),
  (random) => ({ kind: 'drop-doorbells', count: random.whole(1, 5), forMs: 200 }),
  (random) => ({ kind: 'double-doorbells', count: random.whole(1, 5), forMs: 200 }),
]

function shuffled<T>(random: Random, from: readonly T[]): readonly T[] {
  return from
    .map((item) => ({ item, rank: random.number() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}

/** One line for people. */
export function wordsOf(fault: Fault): string {
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`
  switch (fault.kind) {
    case 'kill':
      return `kill -9 ${fault.part}, away ${seconds(fault.forMs)}`
    case 'pause':
      return `${fault.part} paused for ${seconds(fault.forMs)}`
    case 'wrong-clock':
      return `kill -9 ${fault.part}, then its clock ${fault.offMs > 0 ? '+' : ''}${fault.offMs / minutes} min${fault.afterMs === 0 ? '' : ` after ${seconds(fault.afterMs)}`}`
    case 'latency':
      return `${fault.link} slow: ${fault.ms} ms and up to ${fault.jitterMs} more, for ${seconds(fault.forMs)}`
    case 'black-hole':
      return `${fault.link} swallows everything for ${seconds(fault.forMs)}, then ${fault.end === 'late' ? 'delivers it' : 'resets'}`
    case 'reset':
      return `${fault.link} reset`
    case 'slow-close':
      return `${fault.link} tells ends ${seconds(fault.ms)} late, for ${seconds(fault.forMs)}`
    case 'cut':
      return `${fault.link} cut after ${fault.afterBytes} bytes ${fault.toServer ? 'to' : 'from'} the server, for ${seconds(fault.forMs)}`
    case 'refuse':
      return `${fault.link} refuses connections for ${seconds(fault.forMs)}`
    case 'backfill':
      return `a backfill of ${fault.rate} leads a second, killed after ${seconds(fault.forMs)}`
    case 'letters':
      return `silver refuses a quarter of the leads for ${seconds(fault.forMs)}, then what it refused is redriven`
    case 'drop-doorbells':
      return `the next ${fault.count} doorbells dropped`
    case 'double-doorbells':
      return `the next ${fault.count} doorbells doubled`
  }
}
