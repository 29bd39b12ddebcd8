import type { Etl } from '../../functions/etl/durable-object.ts'
import type { Deliver } from '../../functions/deliver/durable-object.ts'

declare global {
  namespace Cloudflare {
    interface Env {
      readonly DELIVER: DurableObjectNamespace<Deliver>
      readonly ETL: DurableObjectNamespace<Etl>
      readonly [name: string]: unknown
    }
  }
}
