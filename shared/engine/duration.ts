/** A length of time as definitions write it: `'10s'`, `'7d'`. Inside the code it is a number named `…Ms`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of a duration. Throws `RangeError` for what is not one, with the forms that are. */
export function milliseconds(duration: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) ?? []
  if (amount === undefined || !isUnit(unit)) throw new RangeError(`'${duration}' is not a duration. Write a number and ms, s, m, h or d: '10s'.`)
  return Number(amount) * unitMs[unit]
}

function isUnit(unit: string | undefined): unit is keyof typeof unitMs {
  return unit !== undefined && Object.hasOwn(unitMs, unit)
}
