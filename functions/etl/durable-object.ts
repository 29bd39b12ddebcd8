/** A Durable Object for each ETL job: remembers its schedule, and its alarm calls the steps of a run. Wiring only. */
import { DurableObject } from 'cloudflare:workers'
import { etlWorker } from '../deps.ts'
import type { Env } from '../environment.ts'
import type { EtlJobStatus, EtlWorker } from './handler.ts'

/** The object's name is the job's. Connections are made inside each step, since sockets belong to the object that opened them. */
export class Etl extends DurableObject<Env> {
  private readonly worker: EtlWorker

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.worker = etlWorker(env, ctx.id.name ?? '', {
      memory: { read: (name) => ctx.storage.get<number>(name), write: (name, ms) => ctx.storage.put(name, ms) },
      alarm: { at: () => ctx.storage.getAlarm(), set: (ms) => ctx.storage.setAlarm(ms) },
    })
  }

  tick(of: { readonly going: boolean }): Promise<EtlJobStatus> {
    return this.worker.tick(of)
  }

  hurry(): Promise<EtlJobStatus> {
    return this.worker.hurry()
  }

  status(): Promise<EtlJobStatus> {
    return this.worker.status()
  }

  override alarm(): Promise<void> {
    return this.worker.alarm()
  }
}
