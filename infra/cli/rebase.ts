import { rebasedLines, rebaseSource } from '../deploy/rebase.ts'
import { Fault } from '../local/fault.ts'
import { homeAt } from '../local/home.ts'
import { stackSettings } from '../local/settings.ts'
import { readStackFile } from '../local/stack-info.ts'
import { readArguments } from './arguments.ts'
import { EXIT, type Verb, WrongUse } from './verb.ts'

export const rebase: Verb = {
  summary: 'after a restore, on a branch, after a move: lets capture go on',
  usage: `npx afluente rebase [--json]

Where this database is not the one that was captured, capture stands still: its changes would look older than what was delivered
before, and be skipped. This lifts their versions above all that was delivered and marks every table for reconciliation. Where
nothing is to be done it says so. It goes to SOURCE_DATABASE_URL (the role that applied the migrations, or the service role), else to the
stack that runs here. Exit 0 when capture can go on, 1 when it could not be done.`,
  async run({ args, env, out }) {
    const { positionals, values } = readArguments(args, { json: { type: 'boolean' } })
    if (positionals.length > 0) throw new WrongUse(`rebase takes nothing; '${positionals.join(' ')}' is too much`)
    const json = values.json === true
    const done = await rebaseSource(sourceUrl(env))
    if (json) out(JSON.stringify(done, null, 2))
    else if (done.status === 'unchanged') out('Nothing to do: this is the database that is captured, and its outbox is read.')
    else {
      for (const line of rebasedLines(done)) out(line)
      out('Capture goes on with its next call.')
    }
    return EXIT.well
  },
}

function sourceUrl(env: NodeJS.ProcessEnv): string {
  const given = env['SOURCE_DATABASE_URL']?.trim() ?? ''
  if (given !== '') return given
  const info = readStackFile(homeAt(stackSettings(env).home))
  if (info === undefined) throw new Fault('No stack runs here, and SOURCE_DATABASE_URL is not set', 'Set it to the source database, or run `npm start`')
  return info.source.url
}
