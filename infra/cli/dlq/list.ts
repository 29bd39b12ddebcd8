/** `afluente dlq list`, `show` and `export`: looking changes nothing, and shows no value that was not asked for. */
import { EXIT, type Exit, type VerbContext } from '../verb.ts'
import { findWorker } from '../worker-api.ts'
import { exportSchema, type Group, groupsSchema, letterSchema, pageSchema, type Summary, type Whole } from './answers.ts'
import { filterOf, filterOptions, noIds, oneId, parsed, queryOf } from './options.ts'

export async function list({ args, env, out }: VerbContext): Promise<Exit> {
  const options = { ...filterOptions, groups: { type: 'boolean' }, limit: { type: 'string' }, cursor: { type: 'string' } } as const
  const { values, positionals } = parsed(args, options)
  noIds(positionals)
  const worker = findWorker(values.url, env)
  const filter = filterOf({ state: 'open', ...values }, [], Date.now())
  if (values.groups === true) {
    const { groups } = await worker.get(`/api/dead-letters/groups${queryOf(filter, { limit: values.limit })}`, groupsSchema)
    if (values.json === true) out(JSON.stringify({ groups }, null, 2))
    else for (const line of groups.length === 0 ? ['no dead letters'] : groups.flatMap(groupLines)) out(line)
    return EXIT.well
  }
  const page = await worker.get(`/api/dead-letters${queryOf(filter, { limit: values.limit ?? '50', cursor: values.cursor })}`, pageSchema)
  if (values.json === true) out(JSON.stringify(page, null, 2))
  else {
    for (const line of page.letters.length === 0 ? ['no dead letters'] : page.letters.flatMap(letterLines)) out(line)
    if (page.next !== null) out(`more: --cursor ${page.next}`)
  }
  return EXIT.well
}

export async function show({ args, env, out }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, { reveal: { type: 'boolean' } })
  const id = oneId(positionals, 'letter')
  const letter = await findWorker(values.url, env).get(`/api/dead-letters/${id}${values.reveal === true ? '?reveal=true' : ''}`, letterSchema)
  if (values.json === true) out(JSON.stringify(letter, null, 2))
  else for (const line of wholeLines(letter)) out(line)
  return EXIT.well
}

/** One JSON object a line. */
export async function exportLetters({ args, env, out }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, { ...filterOptions, reveal: { type: 'boolean' } })
  const worker = findWorker(values.url, env)
  const filter = filterOf(values, positionals, Date.now())
  let cursor: string | undefined
  do {
    const more = { cursor, ...(values.reveal === true ? { reveal: 'true' } : {}) }
    const page = await worker.get(`/api/dead-letters/export${queryOf(filter, more)}`, exportSchema)
    for (const letter of page.letters) out(JSON.stringify(letter))
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return EXIT.well
}

function letterLines(letter: Summary): readonly string[] {
  const { attempts, code, consumer, eventId, firstSeen, id, message, reason, state, table } = letter
  const times = attempts === 1 ? '' : `, ${attempts} attempts`
  return [
    `${id}  ${state}  ${consumer}  ${table ?? 'no table'}  ${eventId}  ${code}  ${firstSeen}${times}`,
    `    ${reason === null ? message : `discarded: ${reason}`}`,
  ]
}

function groupLines({ code, consumer, fingerprint, firstSeen, lastSeen, letters, message, table }: Group): readonly string[] {
  return [`${letters} × ${fingerprint}  ${consumer}  ${table ?? 'no table'}  ${code}  ${firstSeen} – ${lastSeen}`, `    ${message}`]
}

function wholeLines(letter: Whole): readonly string[] {
  const pairs: readonly (readonly [string, string | null])[] = [
    ['state', letter.state],
    ['consumer', letter.consumer],
    ['record', `${letter.topic}, partition ${letter.partition}, offset ${letter.offset}`],
    ['event', letter.eventId],
    ['table', letter.table],
    ['key', letter.key],
    ['error', `${letter.code}: ${letter.message}`],
    ['fingerprint', letter.fingerprint],
    ['attempts', String(letter.attempts)],
    ['first seen', letter.firstSeen],
    ['last seen', letter.lastSeen],
    ['published', letter.publishedAt],
    ['redrive', letter.job],
    ['reason', letter.reason],
    ['replaced by', letter.replacedBy],
    ['ended', letter.endedAt],
  ]
  const value = typeof letter.value === 'string' && letter.revealed ? letter.value : JSON.stringify(letter.value, null, 2)
  return [
    `letter ${letter.id}`,
    ...pairs.flatMap(([name, text]) => (text === null ? [] : [`  ${name.padEnd(12)} ${text}`])),
    '  headers',
    ...Object.entries(letter.headers).map(([name, text]) => `    ${name}: ${text}`),
    letter.revealed ? '  value' : '  value (by kind and size; --reveal shows it, and is audited)',
    ...value.split('\n').map((line) => `    ${line}`),
  ]
}
