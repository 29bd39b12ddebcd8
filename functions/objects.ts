/** The Durable Objects of wrangler.toml, by their names. */
import type { AnyPipeline } from '../shared/engine/define.ts'
import type { EtlObjects, Fleet } from './api/deps.ts'
import type { Env } from './environment.ts'

/** Named `<consumer>:<instance>`. */
export function fleetOf({ DELIVER }: Pick<Env, 'DELIVER'>, { consumers }: Pick<AnyPipeline, 'consumers'>): Fleet {
  const stubs = (consumer: string) =>
    Array.from({ length: consumers[consumer]?.instances ?? 0 }, (_, instance) => DELIVER.get(DELIVER.idFromName(`${consumer}:${instance}`)))
  return {
    status: (consumer) => Promise.all(stubs(consumer).map(async (stub) => stub.status())),
    wake: (consumer) => Promise.all(stubs(consumer).map(async (stub) => stub.wake())),
    stop: (consumer) => Promise.all(stubs(consumer).map(async (stub) => stub.stop())),
    resume: (consumer) => Promise.all(stubs(consumer).map(async (stub) => stub.resume())),
  }
}

/** Named as their jobs. */
export function etlObjectsOf({ ETL }: Pick<Env, 'ETL'>): EtlObjects {
  const stub = (job: string) => ETL.get(ETL.idFromName(job))
  return {
    status: async (job) => stub(job).status(),
    hurry: async (job) => stub(job).hurry(),
    tick: async (job, of) => stub(job).tick(of),
  }
}
