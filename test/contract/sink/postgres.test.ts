import { realPostgres } from './postgres-server.ts'
import { postgresSubject } from './postgres-subject.ts'
import { sinkContract } from './suite.ts'

const postgres = realPostgres()

for (const bronze of [true, false]) {
  sinkContract(bronze ? 'postgres, bronze and silver' : 'postgres, silver alone', {
    runs: 60,
    fences: true,
    floors: true,
    make: async () => ({ subject: postgresSubject({ db: postgres.pool(await postgres.analytics()), bronze }), close: async () => {} }),
  })
}
