import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresLetters } from '../../../shared/adapters/postgres/letters.ts'
import { postgresRedrives } from '../../../shared/adapters/postgres/redrives.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { lettersContract, signal } from './suite.ts'

const postgres = realPostgres()

lettersContract('postgres', {
  make: async () => {
    const db = postgres.pool(await postgres.analytics())
    const audit = async () => {
      const { rows } = await db.query({ text: 'select actor, action, subject, details from ops.audit order by id', values: [] }, { signal })
      return rows.map((row) => ({
        actor: String(row['actor']),
        action: String(row['action']),
        subject: String(row['subject']),
        details: JSON.parse(String(row['details'])) as unknown,
      }))
    }
    return { subject: { letters: postgresLetters({ db }), redrives: postgresRedrives({ db }), control: postgresControl({ db }), audit }, close: async () => {} }
  },
})
