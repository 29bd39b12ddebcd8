/** What each session does, and in which order: drawn beforehand, so that nothing that happens can change it. */
import type { Random } from './random.ts'
import type { Table } from './schema.ts'
import { setting, statement, type Writer } from './statements.ts'

export interface Step {
  readonly session: number
  readonly sql: string
  /** An error takes back this step alone: the transaction goes on. */
  readonly guarded: boolean
}

export interface ScriptDeps {
  readonly random: Random
  readonly tables: readonly Table[]
  readonly sessions: readonly { readonly superuser: boolean }[]
  readonly statements: number
  readonly stamp: () => string
  /** A name of a prepared transaction that nobody else on this server has. */
  readonly prepared: () => string
}

/** In the order of a single thread; a session's own steps are in its order. */
export function randomScript(deps: ScriptDeps): Step[] {
  const { random, sessions } = deps
  const share = Math.ceil(deps.statements / sessions.length)
  const scripts = sessions.map(({ superuser }, session) => sessionScript(deps, session, superuser, share))
  const merged: Step[] = []
  let left = scripts.filter((script) => script.length > 0)
  while (left.length > 0) {
    // Runs of a few steps, so that short transactions also pass undisturbed.
    const script = random.pick(left)
    merged.push(...script.splice(0, 1 + random.below(3)))
    left = left.filter((rest) => rest.length > 0)
  }
  return merged
}

function sessionScript(deps: ScriptDeps, session: number, superuser: boolean, statements: number): Step[] {
  const { random } = deps
  const alone: Writer = { random, tables: deps.tables, superuser, inTransaction: false, stamp: deps.stamp }
  const writer: Writer = { ...alone, inTransaction: true }
  const steps: Step[] = []
  const add = (sql: string, guarded = false) => steps.push({ session, sql, guarded })
  for (let count = 0; count < statements;) {
    if (random.chance(0.2)) add(setting(writer))
    if (random.chance(0.4)) {
      add(statement(alone))
      count += 1
      continue
    }
    const isolation = random.pick(['', '', '', ' isolation level repeatable read', ' isolation level serializable'])
    const careful = random.chance(0.6)
    const inside = 1 + random.below(5)
    add(`begin${isolation}`)
    // The snapshot of such a transaction is as old as its first look.
    if (isolation !== '' && random.chance(0.5)) add(`select count(*) from ${random.pick(deps.tables).name}`, careful)
    let saved = false
    for (let at = 0; at < inside; at += 1) {
      if (random.chance(0.15)) {
        add('savepoint s')
        saved = true
      }
      add(statement(writer), careful)
      if (saved && random.chance(0.3)) add('rollback to s')
    }
    count += inside
    const end = random.below(10)
    if (end < 6) add('commit')
    else if (end < 8) add('rollback')
    else {
      const name = deps.prepared()
      add(`prepare transaction '${name}'`)
      if (random.chance(0.5)) add(statement(writer))
      add(`${random.chance(0.7) ? 'commit' : 'rollback'} prepared '${name}'`)
    }
  }
  return steps
}
