/** The rows of the demo tables. Their moments count from a fixed day, so that a seed makes the same rows tomorrow. */
import { personOf, summaryOf } from './people.ts'
import type { Random } from './random.ts'

/** A column's value as `pg` takes it; json as its text. */
export type Value = string | number | null | readonly string[]
export type Row = Readonly<Record<string, Value>>

const FIRST_DAY_MS = Date.UTC(2026, 0, 5)
const DAY_MS = 86_400_000

const leadStatus = { new: 40, contacted: 25, qualified: 15, proposal: 10, won: 5, lost: 5 } as const
const channel = { whatsapp: 50, web: 25, instagram: 15, email: 7, phone: 3 } as const

export function leadOf(random: Random): Row {
  const person = personOf(random)
  const created = FIRST_DAY_MS + random.whole(0, 90 * DAY_MS)
  return {
    id: random.uuid(),
    name: person.name,
    email: person.email,
    phone: person.phone,
    company: person.company,
    job_title: person.jobTitle,
    source: random.weighted({ website: 40, whatsapp: 25, indicação: 15, ads: 15, event: 5 }),
    status: random.weighted(leadStatus),
    score: random.chance(0.9) ? random.whole(0, 100) : null,
    estimated_value: random.chance(0.6) ? moneyOf(random) : null,
    tags: person.tags,
    metadata: random.chance(0.7)
      ? JSON.stringify({ utm: random.pick(['google', 'meta', null]), visits: random.whole(1, 40), notes: [random.pick(['quente', 'frio', '…'])] })
      : null,
    assigned_to: random.chance(0.4) ? random.uuid() : null,
    created_at: moment(created),
    updated_at: moment(created),
  }
}

/** What a seller changes of a lead. */
export function leadChangeOf(random: Random): Row {
  return random.weighted({ move: 60, score: 25, value: 15 }) === 'move'
    ? { status: random.weighted(leadStatus), score: random.whole(0, 100) }
    : random.chance(0.6)
      ? { score: random.whole(0, 100) }
      : { estimated_value: moneyOf(random), assigned_to: random.uuid() }
}

export function chatOf(random: Random, leadId: string | null): Row {
  const started = FIRST_DAY_MS + random.whole(0, 90 * DAY_MS)
  return {
    id: random.uuid(),
    lead_id: leadId,
    channel: random.weighted(channel),
    status: 'open',
    agent: random.chance(0.7) ? random.pick(['Bia', 'Téo', 'bot', 'Íris']) : null,
    started_at: moment(started),
    ended_at: null,
    last_message_at: moment(started),
    message_count: 1,
    rating: null,
    summary: null,
    created_at: moment(started),
    updated_at: moment(started),
  }
}

/** A chat goes on, or ends with what became of it. */
export function chatChangeOf(random: Random): Row {
  const at = moment(FIRST_DAY_MS + random.whole(90 * DAY_MS, 120 * DAY_MS))
  if (random.chance(0.65)) return { message_count: random.whole(2, 60), last_message_at: at, status: random.pick(['open', 'pending']) }
  return {
    status: random.chance(0.8) ? 'resolved' : 'abandoned',
    ended_at: at,
    rating: random.chance(0.5) ? random.whole(1, 5) : null,
    summary: summaryOf(random),
  }
}

/** As text: cents are exact, and a double's are not. */
function moneyOf(random: Random): string {
  return `${random.whole(100, 250_000)}.${String(random.whole(0, 99)).padStart(2, '0')}`
}

function moment(ms: number): string {
  return new Date(ms).toISOString()
}
