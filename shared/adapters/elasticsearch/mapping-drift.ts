/**
 * The fields that are there otherwise than they are wanted, or not at all. What is there beyond that doesn't count:
 * fields of earlier definitions, and what a dynamic object has learned.
 */
export function differingFields(wanted: unknown, there: unknown): readonly string[] {
  const found = partsOf(there)
  return Object.entries(partsOf(wanted)).flatMap(([name, field]) => (covers(found[name], field) ? [] : [name]))
}

/** The server answers some parameters as text (`"dynamic": "true"`), and leaves the type of an object with fields out. */
function covers(there: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return String(there) === String(wanted)
  if (typeof there !== 'object' || there === null) return false
  const found = partsOf(there)
  return Object.entries(partsOf(wanted)).every(([name, value]) => (name === 'type' && value === 'object' && !('type' in found)) || covers(found[name], value))
}

function partsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
