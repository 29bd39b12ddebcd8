/** A promise's outcome as a value, for work that runs beside other work: it never rejects while nobody awaits it. */
export type Settled<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

export function settle<T>(work: Promise<T>): Promise<Settled<T>> {
  return work.then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, error }),
  )
}

export function unwrap<T>(settled: Settled<T>): T {
  if (settled.ok) return settled.value
  throw settled.error
}
