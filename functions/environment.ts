/** What wrangler.toml binds, beside the variables of .env.example, which shared/config.ts reads. */
import type { Environment } from '../shared/config.ts'
import type { Deliver } from './deliver/durable-object.ts'
import type { Etl } from './etl/durable-object.ts'

export interface Env extends Environment {
  readonly DELIVER: DurableObjectNamespace<Deliver>
  readonly ETL: DurableObjectNamespace<Etl>
}
