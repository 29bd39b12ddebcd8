/** What the catalogue says of a schema's functions, remembered until it turns out to be wrong or a reload is asked for. */
import type { Database } from './database.ts'

export interface RestFunction {
  readonly schema: string
  readonly name: string
  readonly parameters: readonly { readonly name: string; readonly type: string; readonly required: boolean }[]
  readonly returns: 'void' | 'json' | 'scalar' | 'row'
  readonly set: boolean
}

export interface Functions {
  /** Every overload under that name. Asks the database only the first time. */
  named(schema: string, name: string): Promise<readonly RestFunction[]>
  readonly forget: () => void
}

const lookUp = `
select p.proname,
       p.proretset::text,
       case when t.typname = 'void' then 'void' when t.typname in ('json', 'jsonb') then 'json' when t.typtype = 'c' or t.typname = 'record' then 'row' else 'scalar' end,
       (select coalesce(json_agg(json_build_array(coalesce(a.name, ''), format_type(a.type, null), a.i <= p.pronargs - p.pronargdefaults) order by a.i), '[]')
          from (select row_number() over (order by o) as i, type, name
                  from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes) with ordinality x(type, name, mode, o)
                 where coalesce(mode, 'i') in ('i', 'b', 'v')) a)::text
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_type t on t.oid = p.prorettype
 where n.nspname = $1 and p.proname = $2 and p.prokind = 'f'`

export function createFunctions(deps: { readonly database: Pick<Database, 'inspect'> }): Functions {
  const known = new Map<string, readonly RestFunction[]>()
  return {
    named: async (schema, name) => {
      const key = `${schema}.${name}`
      const remembered = known.get(key)
      if (remembered !== undefined) return remembered
      const { rows } = await deps.database.inspect(lookUp, [schema, name])
      const found = rows.map((row) => read(schema, row))
      // A name that isn't there may be created any moment; only what exists is remembered.
      if (found.length > 0) known.set(key, found)
      return found
    },
    forget: () => known.clear(),
  }
}

function read(schema: string, [name, set, returns, parameters]: readonly (string | null)[]): RestFunction {
  const list = JSON.parse(parameters ?? '[]') as [string, string, boolean][]
  return {
    schema,
    name: name ?? '',
    set: set === 'true',
    returns: returns === 'void' || returns === 'json' || returns === 'row' ? returns : 'scalar',
    parameters: list.map(([parameter, type, required]) => ({ name: parameter, type, required })),
  }
}
