/** Names from a request, made safe to stand in SQL text. Values never do: they go as parameters. */
import { RestError } from './reply.ts'

export function quote(name: string): string {
  if (name === '' || name.includes('\0')) throw new RestError(400, 'PGRST100', 'A name in the request is empty or holds a NUL.')
  return `"${name.replaceAll('"', '""')}"`
}

/** A type name for a cast in `select`: letters, digits and blanks, and an array's brackets. */
export function typeName(name: string): string {
  if (!/^[a-z_][a-z0-9_ ]*(\[\])?$/i.test(name)) throw new RestError(400, 'PGRST100', `"${name}" is no type to cast to.`)
  return name
}

/** Collects parameters and hands out their placeholders. */
export interface Parameters {
  readonly values: unknown[]
  add(value: unknown): string
}

export function createParameters(): Parameters {
  const values: unknown[] = []
  return { values, add: (value) => `$${values.push(value)}` }
}
