const WINDOW_MS = 5_000

/** Rows a second over the last five seconds, from counts as they come. */
export function rateMeter(now: () => number, begin: number): (seen: number) => number {
  let samples: readonly { readonly at: number; readonly seen: number }[] = [{ at: now(), seen: begin }]
  return (seen) => {
    const at = now()
    const kept = samples.filter((sample) => sample.at > at - WINDOW_MS)
    samples = [...(kept.length === 0 ? samples.slice(-1) : kept), { at, seen }]
    const [first] = samples
    return first === undefined || at === first.at ? 0 : ((seen - first.seen) * 1_000) / (at - first.at)
  }
}
