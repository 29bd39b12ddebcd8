/** One connection that hears NOTIFY and comes back by itself. Not its job: what was notified while it was away. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { reasonOf, type Log } from './log.ts'

export interface ListenerDeps {
  readonly url: string
  readonly log: Log
  /** By channel. Each is also called after every (re)connect, since something may have been missed. */
  readonly on: Readonly<Record<string, () => void>>
}

export interface Listener {
  stop(): Promise<void>
}

export function createListener(deps: ListenerDeps): Listener {
  const stopping = new AbortController()
  let client: pg.Client | undefined

  const listenUntilLost = async (): Promise<void> => {
    const opened = new pg.Client({ connectionString: deps.url, application_name: 'pg_net stand-in (listens)' })
    client = opened
    const lost = new Promise<void>((resolve) => {
      opened.on('end', resolve)
      opened.on('error', () => resolve())
    })
    opened.on('notification', ({ channel }) => deps.on[channel]?.())
    await opened.connect()
    for (const channel of Object.keys(deps.on)) await opened.query(`listen ${pg.escapeIdentifier(channel)}`)
    for (const react of Object.values(deps.on)) react()
    await lost
  }

  const supervised = (async () => {
    let last = ''
    while (!stopping.signal.aborted) {
      const reason = await listenUntilLost().then(() => 'connection lost', reasonOf)
      await client?.end().catch(() => undefined)
      if (stopping.signal.aborted) return
      if (reason !== last) deps.log('listener.reconnects', { reason })
      last = reason
      await sleep(500, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  })()

  return {
    stop: async () => {
      stopping.abort()
      await client?.end().catch(() => undefined)
      await supervised
    },
  }
}
