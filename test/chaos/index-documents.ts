import type { World } from './world.ts'

export const indexNames = { leads: 'leads-v1', chat_sessions: 'chat_sessions-v1' } as const

export interface Document {
  readonly id: string
  readonly version: number
  readonly key: string
  readonly ownVersion: number
  readonly deleted: boolean
  /** The row's columns. */
  readonly row: Readonly<Record<string, unknown>>
  /** The alias, through which everybody searches, shows it. */
  readonly shown: boolean
}

interface Hit {
  readonly _id: string
  readonly _version: number
  readonly _source: Readonly<Record<string, unknown>> & { readonly afluente: { readonly key: string; readonly version: number; readonly deleted: boolean } }
}

/** Everything in the index of a table, refreshed before. */
export async function documentsOf({ info }: Pick<World, 'info'>, table: keyof typeof indexNames): Promise<readonly Document[]> {
  const ask = async (path: string, method = 'GET'): Promise<unknown> => {
    const response = await fetch(`${info.elasticsearch.url}/${path}`, { method })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`)
    return response.json()
  }
  const hitsOf = async (index: string): Promise<readonly Hit[]> =>
    ((await ask(`${index}/_search?version=true&size=10000`)) as { hits: { hits: readonly Hit[] } }).hits.hits
  await ask(`${indexNames[table]}/_refresh`, 'POST')
  const shown = new Set((await hitsOf(table)).map(({ _id }) => _id))
  return (await hitsOf(indexNames[table])).map(({ _id, _version, _source: { afluente, ...row } }) => ({
    id: _id,
    version: _version,
    key: afluente.key,
    ownVersion: afluente.version,
    deleted: afluente.deleted,
    row,
    shown: shown.has(_id),
  }))
}
