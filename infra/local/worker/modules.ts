import { basename, dirname, join } from 'node:path'
import type { V4ModuleDefinition } from 'miniflare'
import { clockShiftOf, shiftClock } from '../shifted-clock.ts'

/** The modules of the Worker: the bundle alone, or behind one that sets the clock wrong before the bundle is evaluated. */
export function modulesOf(main: string, env: NodeJS.ProcessEnv): V4ModuleDefinition[] {
  const bundle: V4ModuleDefinition = { type: 'ESModule', path: main }
  const shift = clockShiftOf(env)
  if (shift === undefined) return [bundle]
  const folder = dirname(main)
  const clock = join(folder, 'wrong-clock.js')
  const entry = join(folder, 'with-wrong-clock.js')
  return [
    {
      type: 'ESModule',
      path: entry,
      contents: `import './${basename(clock)}'\nexport * from './${basename(main)}'\nexport { default } from './${basename(main)}'\n`,
    },
    { type: 'ESModule', path: clock, contents: `(${shiftClock.toString()})(globalThis, ${JSON.stringify(shift)})\n` },
    bundle,
  ]
}
