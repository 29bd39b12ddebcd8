import type { Db } from '../../../shared/adapters/postgres/db.ts'

/** The database as a naive sink would use it: a guard is taken out of the statement that writes. Fails when the guard isn't in it any more. */
export function tampered(db: Db, guard: string, naive: string): Db {
  return {
    query: (query, options) => {
      if (query.name?.startsWith('write-') !== true) return db.query(query, options)
      if (!query.text.includes(guard)) throw new Error(`The statement has no '${guard}' that could be taken out.`)
      return db.query({ ...query, text: query.text.replaceAll(guard, naive) }, options)
    },
  }
}
