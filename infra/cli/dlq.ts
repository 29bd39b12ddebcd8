import { discard, edit } from './dlq/decide.ts'
import { exportLetters, list, show } from './dlq/list.ts'
import { jobs, redrive } from './dlq/redrive.ts'
import { type Exit, type Verb, type VerbContext, WrongUse } from './verb.ts'

const verbs: Readonly<Record<string, (context: VerbContext) => Promise<Exit>>> = { list, show, redrive, edit, discard, export: exportLetters, jobs }

export const dlq: Verb = {
  summary: 'dead letters: look at them, redrive, edit or discard them',
  usage: `npx afluente dlq list    [FILTER] [--groups] [--limit 50] [--cursor C]   open ones; --groups puts together what fails alike
npx afluente dlq show    ID [--reveal]                       one, whole; values only with --reveal, which is audited
npx afluente dlq redrive ID… | FILTER | --all [--dry-run] [--detach]   sends them through again, as any event
npx afluente dlq edit    ID --file F|- [--dry-run]           an application event alone: a corrected one is sent in its place
npx afluente dlq discard ID… | FILTER --reason WHY [--dry-run]   gives them up for good
npx afluente dlq export  [ID…] [FILTER] [--reveal]           one JSON object a line
npx afluente dlq jobs    [ID] [--cancel]                     redrives and how far they are

FILTER: --table T --consumer C --fingerprint F --state open|redriven|resolved|discarded|all --since 2h|TIME --until 2h|TIME (first seen)
All take --json and --url https://… (a deployed Worker; wants AFLUENTE_API_TOKEN). A row's event is never edited: mend the row in the
source, or the mapping or constraint that refuses it, then redrive. Exit 0 well, 1 when letters failed again or wait, 2 wrong use:
nothing was done then.`,
  async run(context) {
    const [name = '', ...args] = context.args
    const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined
    if (verb === undefined) throw new WrongUse(name === '' ? `dlq: what? There are ${Object.keys(verbs).join(', ')}` : `dlq has no '${name}'`)
    return verb({ ...context, args })
  },
}
