/**
 * A wrong clock for the functions of a local stack: tests set CLOCK_OFF_MS, and it is off by so much from CLOCK_OFF_AFTER_MS on,
 * counted from when it is first asked. No product code knows of it. Timers run as ever.
 */
export interface ClockShift {
  readonly offMs: number
  readonly afterMs: number
}

/** Undefined when the environment asks for no wrong clock. */
export function clockShiftOf(env: Readonly<Record<string, string | undefined>>): ClockShift | undefined {
  const offMs = Number(env['CLOCK_OFF_MS'] ?? '0')
  return offMs === 0 ? undefined : { offMs, afterMs: Number(env['CLOCK_OFF_AFTER_MS'] ?? '0') }
}

/** Puts another `Date` into a global scope. Uses nothing from outside of itself, since its text runs in workerd as well. */
export function shiftClock(scope: { Date: DateConstructor }, { offMs, afterMs }: ClockShift): void {
  const Real = scope.Date
  let began = 0
  const now = (): number => {
    const at = Real.now()
    if (began === 0) began = at
    return at - began >= afterMs ? at + offMs : at
  }
  const untouched = (value: unknown): unknown => value
  const made = (value: unknown): object => (typeof value === 'object' && value !== null ? value : new Real(now()))
  scope.Date = new Proxy(Real, {
    construct: (target, given, newTarget) => made(Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget)),
    apply: () => new Real(now()).toString(),
    get: (target, name, receiver) => (name === 'now' ? now : untouched(Reflect.get(target, name, receiver))),
  })
}
