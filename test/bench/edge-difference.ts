/** What was counted between two looks; null where there is nobody to ask. */
export function difference(before: object | null, now: object | null): Readonly<Record<string, number>> | null {
  if (before === null || now === null) return null
  const old = new Map<string, unknown>(Object.entries(before))
  return Object.fromEntries(Object.entries(now).map(([name, value]) => [name, Number(value) - Number(old.get(name) ?? 0)]))
}
