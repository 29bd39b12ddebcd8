import type { Deliver } from '../../functions/deliver/durable-object.ts'

declare global {
  namespace Cloudflare {
    interface Env {
      readonly DELIVER: DurableObjectNamespace<Deliver>
      readonly [name: string]: unknown
    }
  }
}
