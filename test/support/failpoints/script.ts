/** What is written while a failpoint strikes: short, and made so that every boundary is passed more than once. */
import { SLOW } from './setting.ts'

export type ScriptStep =
  | { readonly does: 'write'; readonly session: number; readonly key: number; readonly n: number | null }
  /** Of more rows than a delete each: a floor. */
  | { readonly does: 'truncate'; readonly session: number }
  | { readonly does: 'commit'; readonly session: number; readonly rings: readonly number[] }
  | { readonly does: 'pass'; readonly ms: number }

const write = (session: number, ...rows: readonly (readonly [key: number, n: number | null])[]): readonly ScriptStep[] =>
  rows.map(([key, n]) => ({ does: 'write', session, key, n }))
const commit = (session: number, ...rings: readonly number[]): ScriptStep => ({ does: 'commit', session, rings })
const pass = (ms: number): ScriptStep => ({ does: 'pass', ms })

const REFUSED = -1
const TOO_LARGE = -2

/** While the fault strikes. */
export const script: readonly ScriptStep[] = [
  // Committed late: its version lies below those of the other session.
  ...write(0, [0, 1], [8, 1]),
  ...write(1, [1, 1], [2, 1], [3, REFUSED], [4, TOO_LARGE], [5, 2], [6, 2], [9, 1]),
  commit(1, 0),
  pass(40),
  commit(0, 1),
  pass(30),
  ...write(1, [1, SLOW], [5, 3]),
  commit(1, 0),
  pass(200),
  ...write(2, [2, null], [6, 4]),
  commit(2, 2),
  pass(60),
  { does: 'truncate', session: 2 },
  commit(2, 0),
  pass(30),
  ...write(1, [1, 4], [6, 1], [7, 5], [6, 2], [3, REFUSED], [0, SLOW]),
  commit(1, 1),
  pass(100),
  ...write(0, [9, 3], [7, 6]),
  commit(0, 0),
  pass(300),
]

/** While whoever stands still sees nothing of it. */
export const later: readonly ScriptStep[] = [...write(1, [1, 8], [2, 3], [5, 4], [0, null], [6, 9], [7, null], [9, 5]), commit(1, 2), pass(50)]
