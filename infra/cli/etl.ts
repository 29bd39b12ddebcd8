import { health, list, runs, show } from './etl/look.ts'
import { reconcile, run } from './etl/run.ts'
import { cancel, watermark } from './etl/steer.ts'
import { type Exit, type Verb, type VerbContext, WrongUse } from './verb.ts'

const verbs: Readonly<Record<string, (context: VerbContext) => Promise<Exit>>> = { list, run, runs, show, watermark, reconcile, cancel, health }

export const etl: Verb = {
  summary: 'jobs that load what can only be read: run, watch and steer them',
  usage: `npx afluente etl list                       the jobs, when each runs next, and how its last run went
npx afluente etl run JOB                    loads what has changed; the first time everything
                 [--full]                   everything anew, and then takes out what the source no longer has
                 [--from T] [--to T]        rows whose cursor lies in a span (a time, or how long ago: 24h)
                 [--dry-run] [--detach]     counts and writes nothing · does not wait for its end
                 [--yes]                    also where that takes more than half of the copy out
npx afluente etl reconcile JOB [--dry-run]  compares source and copy, and mends what differs [--yes]
npx afluente etl runs [JOB] [--limit 20] [--cursor C]
npx afluente etl show RUN
npx afluente etl watermark JOB [--set T --yes]   where the next run begins; setting it is audited
npx afluente etl cancel JOB | RUN           ends the run that is going before its next page
npx afluente etl health                     exit 1 where a job has failed, is overdue (two moments of its schedule missed) or held up

All take --json and --url https://… (a deployed Worker; wants AFLUENTE_API_TOKEN). A run works in the Worker: it goes on when this command
ends. "Caught by the overlap" and "by reconcile" count rows that reading "updated_at > the last one" would have lost.
Exit 0 well, 1 a fault found, 2 wrong use: nothing was done then.`,
  async run(context) {
    const [name = '', ...args] = context.args
    const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined
    if (verb === undefined) throw new WrongUse(name === '' ? `etl: what? There are ${Object.keys(verbs).join(', ')}` : `etl has no '${name}'`)
    return verb({ ...context, args })
  },
}
