/** A Durable Object for each instance of a consumer: keeps a joined Kafka consumer warm. Wiring only. */
import { DurableObject } from 'cloudflare:workers'
import { consumerRun, runtime } from '../deps.ts'
import type { Env } from '../environment.ts'
import { createDeliverer, type Deliverer, type InstanceStatus } from './handler.ts'

/** The object's name is `<consumer>:<instance>`. Its clients are made inside each run, since sockets belong to the object that opened them. */
export class Deliver extends DurableObject<Env> {
  private readonly deliverer: Deliverer

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const [consumer = '', instance = '0'] = (ctx.id.name ?? '').split(':')
    const { clock, log } = runtime({ function: 'deliver', consumer, instance: Number(instance) })
    this.deliverer = createDeliverer({
      consumer,
      instance: Number(instance),
      run: consumerRun(env, consumer, Number(instance)),
      memory: {
        isStopped: async () => (await ctx.storage.get<boolean>('stopped')) === true,
        setStopped: (stopped) => ctx.storage.put('stopped', stopped),
      },
      clock,
      log,
    })
  }

  wake(): Promise<InstanceStatus> {
    return this.deliverer.wake()
  }

  stop(): Promise<InstanceStatus> {
    return this.deliverer.stop()
  }

  resume(): Promise<InstanceStatus> {
    return this.deliverer.resume()
  }

  leave(): Promise<void> {
    return this.deliverer.leave()
  }

  status(): Promise<InstanceStatus> {
    return this.deliverer.status()
  }
}
