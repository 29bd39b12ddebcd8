/** What Durable Objects remember, on disk while workerd is stopped: tests let time pass that nobody waits for. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { deserialize, serialize } from 'node:v8'

/** Moves the moments that ETL jobs remember back by `ms`; resolves with the number of jobs. The Worker must be stopped. */
export function forgetMoments(home: string, ms: number): number {
  const data = join(home, 'data/worker')
  const files = readdirSync(data, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.sqlite'))
  return files.filter((file) => {
    const database = new DatabaseSync(join(data, file))
    try {
      if (database.prepare("select 1 from sqlite_master where name = '_cf_KV'").get() === undefined) return false
      const kept = database.prepare("select key, value from _cf_KV where key in ('since', 'schedule', 'reconcile')").all()
      for (const { key, value } of kept) {
        const moment: unknown = deserialize(value as Uint8Array)
        database.prepare('update _cf_KV set value = ? where key = ?').run(serialize(Number(moment) - ms), key ?? '')
      }
      return kept.length > 0
    } finally {
      database.close()
    }
  }).length
}
