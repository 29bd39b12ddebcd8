/** Comparing secrets so that the time it takes tells nothing about them. */

/** Both are hashed first, so neither the length nor the place of the first difference shows in the time. Nothing is never the same as a secret. */
export async function isSameSecret(given: string | undefined, expected: string): Promise<boolean> {
  const [left, right] = await Promise.all([digest(given ?? ''), digest(expected)])
  let difference = given === undefined || expected === '' ? 1 : 0
  for (const [at, byte] of left.entries()) difference |= byte ^ (right[at] ?? 0)
  return difference === 0
}

/** The token of `Authorization: Bearer <token>`, or undefined. */
export function bearerOf(header: string | null | undefined): string | undefined {
  return /^Bearer +([^\s]+) *$/i.exec(header ?? '')?.[1]
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
}
