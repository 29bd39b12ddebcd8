/** `afluente dlq discard` and `edit`. */
import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import { EXIT, type Exit, type VerbContext, WrongUse } from '../verb.ts'
import { findWorker } from '../worker-api.ts'
import { discardSchema, editedSchema } from './answers.ts'
import { filterOf, filterOptions, oneId, parsed } from './options.ts'

export async function discard({ args, env, out }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, { ...filterOptions, reason: { type: 'string' }, 'dry-run': { type: 'boolean' } })
  const filter = filterOf(values, positionals, Date.now())
  if (Object.keys(filter).length === 0) throw new WrongUse('Which letters? Name ids or a filter')
  const reason = values.reason?.trim() ?? ''
  if (reason === '') throw new WrongUse('Discarding wants a --reason')
  const worker = findWorker(values.url, env)
  const ask = () => worker.post('/api/dead-letters/discard', { ...filter, reason, dryRun: values['dry-run'] === true }, discardSchema)
  let discarded = 0
  for (let answer = await ask(); ; answer = await ask()) {
    if (answer.dryRun) {
      out(values.json === true ? JSON.stringify(answer) : `${answer.letters} letter(s) would be discarded; nothing was done`)
      return EXIT.well
    }
    discarded += answer.discarded
    if (answer.left === 0 || answer.discarded === 0) break
  }
  out(values.json === true ? JSON.stringify({ dryRun: false, discarded }) : `${discarded} letter(s) discarded: ${reason}`)
  return EXIT.well
}

export async function edit({ args, env, out }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, { file: { type: 'string' }, 'dry-run': { type: 'boolean' } })
  const id = oneId(positionals, 'letter')
  if (values.file === undefined) throw new WrongUse('What is the new content? --file <path>, or --file - for standard input')
  const value = await contentOf(values.file)
  const edited = await findWorker(values.url, env).post(`/api/dead-letters/${id}/edit`, { value, dryRun: values['dry-run'] === true }, editedSchema)
  if (values.json === true) out(JSON.stringify(edited, null, 2))
  else {
    for (const { after, before, path } of edited.differences) out(`  ${path}: ${before ?? '(nothing)'} → ${after ?? '(nothing)'}`)
    out(edited.dryRun ? 'Nothing was sent.' : `Sent as ${edited.eventId} in place of ${edited.replaces}; letter ${id} is resolved.`)
  }
  return EXIT.well
}

async function contentOf(file: string): Promise<string> {
  try {
    return (file === '-' ? await readAll(process.stdin) : await readFile(file, 'utf8')).trim()
  } catch {
    throw new WrongUse(`--file: ${file} can't be read`, { showsUsage: false })
  }
}
