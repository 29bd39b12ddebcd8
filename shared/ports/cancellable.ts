/** Every awaited call of a port takes the signal that ends it. */
export interface Cancellable {
  readonly signal: AbortSignal
}
