import { EXIT, type Exit, type Verb, type VerbContext, WrongUse } from './verb.ts'

export interface RunContext extends VerbContext {
  readonly err: (line: string) => void
  /** How a failure is told. */
  readonly describe: (error: unknown) => string
}

/** Finds the verb and runs it. Never throws: what went wrong is told, and is in the exit code. */
export async function runVerb(verbs: Readonly<Record<string, Verb>>, { args, env, out, err, describe, seat }: RunContext): Promise<Exit> {
  const [name = '', ...rest] = args
  const list = Object.entries(verbs).map(([verb, { summary }]) => `  ${verb.padEnd(12)} ${summary}`)
  const help = ['npx afluente VERB', '', ...list, '', 'npx afluente VERB --help tells more. Exit: 0 well, 1 a fault found, 2 wrong use.']
  if (name === '--help' || name === '-h' || name === 'help') {
    out(help.join('\n'))
    return EXIT.well
  }
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (verb === undefined) {
    err([name === '' ? 'Which verb?' : `There is no verb '${name}'.`, '', ...help].join('\n'))
    return EXIT.wrongUse
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    out(verb.usage)
    return EXIT.well
  }
  try {
    return await verb.run({ args: rest, env, out, ...(seat === undefined ? {} : { seat }) })
  } catch (error) {
    if (error instanceof WrongUse) {
      err(error.showsUsage ? `${error.message}\n\n${verb.usage}` : error.message)
      return EXIT.wrongUse
    }
    err(`✗ ${describe(error)}`)
    return EXIT.fault
  }
}
