/** Guards taken out of the source side's functions, to see that something fails without them. */
import type { Source } from './source.ts'

/** Replaces text of a function's definition; the mutant must differ, or it would prove nothing. */
export async function mutate(source: Source, name: string, from: string | RegExp, to: string): Promise<void> {
  const definition = (await source.value(`select pg_get_functiondef('${name}'::regproc)`)) ?? ''
  const mutant = definition.replaceAll(from, () => to)
  if (mutant === definition) throw new Error(`${name} holds nothing like ${String(from)}`)
  await source.run(mutant)
}
