/** An application event: something that happened, sent by an application itself. Unlike a row's event it has no source to be mended in, so it may be corrected. */
import * as z from 'zod'
import { header, type LogRecord, type OutboundMessage } from './envelope.ts'

/** Where application events stand, and nothing else. */
export const APPLICATION_TOPIC = 'afluente.eventos'

/** The header of an event that was sent in another's place: the other's id. */
const REPLACES = 'afluente_replaces'

/** Members that nobody knows pass: they are the application's. */
const schema = z.looseObject({
  id: z.string().min(1).max(200),
  tipo: z.string().min(1).max(200),
  valor: z.number().nullish(),
  usuario: z.string().nullish(),
  ocorrido_em: z.iso.datetime({ offset: true }),
  payload: z.unknown().optional(),
})

/** Every fault of the text as an application event, by member and without values; an empty list is a good one. */
export function applicationEventFaults(value: string): readonly string[] {
  const parsed = parse(value)
  if (parsed === undefined) return ['it is no JSON']
  const checked = schema.safeParse(parsed)
  return checked.success ? [] : checked.error.issues.map(({ message, path }) => `${path.join('.') || 'the event'}: ${message}`)
}

/**
 * The event that takes the place of `record` with `value` as its content: another event, under its own id, that names the one it replaces. The same
 * content in the same place has the same id, so that sending it twice has effect once. `digest` is the content's.
 */
export function replacementOf(record: LogRecord, replacedId: string, value: string, digest: string): OutboundMessage {
  const id = `${replacedId}~${digest.slice(0, 16)}`
  const kept = Object.entries(record.headers).flatMap(([name, held]) =>
    held === undefined || name.startsWith('afluente_') ? [] : [[name, held.toString()] as const],
  )
  return {
    topic: record.topic,
    key: record.key ?? id,
    value,
    headers: {
      ...Object.fromEntries(kept),
      ce_specversion: '1.0',
      ce_id: id,
      ce_source: header(record, 'ce_source') ?? '/afluente/dead-letters',
      ce_type: header(record, 'ce_type') ?? 'afluente.event',
      'content-type': 'application/json; charset=utf-8',
      [REPLACES]: replacedId,
    },
  }
}

export interface Difference {
  /** The member, with dots between the names: `payload.total`. */
  readonly path: string
  /** JSON text; null where there was none. */
  readonly before: string | null
  readonly after: string | null
}

/** What differs between two contents, member by member, in the order of their names. A text that is no JSON is one value. */
export function differencesOf(before: string | null, after: string | null): readonly Difference[] {
  const [old, now] = [leavesOf(before), leavesOf(after)]
  return [...new Set([...old.keys(), ...now.keys()])]
    .toSorted()
    .flatMap((path) => (old.get(path) === now.get(path) ? [] : [{ path, before: old.get(path) ?? null, after: now.get(path) ?? null }]))
}

function leavesOf(text: string | null): ReadonlyMap<string, string> {
  const leaves = new Map<string, string>()
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0) leaves.set(path, JSON.stringify(value))
    else for (const [name, member] of Object.entries(value)) walk(member, path === '' ? name : `${path}.${name}`)
  }
  if (text !== null) walk(parse(text) ?? text, '')
  return leaves
}

function parse(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text)
    return parsed
  } catch {
    return undefined
  }
}
