/** Finds what can not be applied by halving, and applies all the rest in its order. Generic: knows neither sinks nor events. */

export interface Culprit<T> {
  readonly item: T
  readonly error: unknown
}

/**
 * Applies `items` part by part, left before right, so that items keep their order. `apply` must do a part wholly or
 * not at all. Gives back the items that were refused alone; throws what `isRefusal` denies. About 2·log2(n) calls for one culprit.
 */
export async function applySplitting<T>(
  items: readonly T[],
  apply: (part: readonly T[]) => Promise<void>,
  isRefusal: (error: unknown) => boolean,
): Promise<readonly Culprit<T>[]> {
  try {
    await apply(items)
    return []
  } catch (error) {
    if (!isRefusal(error)) throw error
    const [only] = items
    if (items.length === 1 && only !== undefined) return [{ item: only, error }]
    const middle = Math.ceil(items.length / 2)
    const left = await applySplitting(items.slice(0, middle), apply, isRefusal)
    const right = await applySplitting(items.slice(middle), apply, isRefusal)
    return [...left, ...right]
  }
}
