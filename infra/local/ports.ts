import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from './fault.ts'
import { whoListens } from './port-holder.ts'

/** Where each part listens when nothing else is said. */
export const defaultPorts = {
  supabase: 54321,
  postgres: 54322,
  edge: 54323,
  kafka: 29092,
  kafkaController: 29093,
  elasticsearch: 9200,
  worker: 8787,
  workerControl: 8788,
} as const

export type PortName = keyof typeof defaultPorts
export type Ports = Readonly<Record<PortName, number>>

export const portNames: readonly PortName[] = ['supabase', 'postgres', 'edge', 'kafka', 'kafkaController', 'elasticsearch', 'worker', 'workerControl']

/** `free`: any free ones; else the defaults with the given ones in place. */
export type PortChoice = 'free' | Partial<Ports>

/**
 * Reads AFLUENTE_PORTS: empty, `free`, or `elasticsearch=9201,worker=8788`.
 * @throws Fault that lists the names there are.
 */
export function parsePorts(text: string | undefined): PortChoice {
  if (text === undefined || text.trim() === '') return {}
  if (text.trim() === 'free') return 'free'
  const chosen: Partial<Record<PortName, number>> = {}
  for (const item of text.split(',')) {
    const [name, value] = item.split('=').map((part) => part.trim())
    const known = portNames.find((candidate) => candidate === name)
    const port = Number(value)
    if (known === undefined || !Number.isInteger(port) || port < 1 || port > 65535) {
      throw new Fault(`AFLUENTE_PORTS has "${item.trim()}"`, `Write "free", or pairs such as elasticsearch=9201; the names are ${portNames.join(', ')}`)
    }
    chosen[known] = port
  }
  return chosen
}

/** Settles the ports. Given ones are not tried here: `assertFree` does that for those a part will really use. */
export async function choosePorts(choice: PortChoice, random: () => number = Math.random): Promise<Ports> {
  if (choice !== 'free') return { ...defaultPorts, ...choice }
  const taken = new Set<number>()
  const ports = { ...defaultPorts } satisfies Ports
  const free: Record<PortName, number> = ports
  for (const name of portNames) free[name] = await freePort(taken, random)
  return free
}

/** Below the range from which the system takes ports for outgoing connections, so that none slips in between. */
async function freePort(taken: Set<number>, random: () => number): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = 10_000 + Math.floor(random() * 20_000)
    if (taken.has(port) || !(await isFree(port))) continue
    taken.add(port)
    return port
  }
  throw new Fault('No free port between 10000 and 30000 on 127.0.0.1', 'Stop some of what listens there')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** A part that was killed may leave a child behind that ends a moment later, and its port with it. */
const DYING_MS = 3_000
const LOOK_AGAIN_MS = 50

/** @throws Fault that names the part, the port and, where the system tells, who has it. A port whose holder nobody can name is looked at again for a while. */
export async function assertFree(part: string, port: number): Promise<void> {
  const until = performance.now() + DYING_MS
  if (await isFree(port)) return
  let holder = await whoListens(port)
  while (holder === undefined && performance.now() < until) {
    await sleep(LOOK_AGAIN_MS)
    if (await isFree(port)) return
    holder = await whoListens(port)
  }
  throw new Fault(
    `Port ${port}, which ${part} wants, is taken${holder === undefined ? '' : ` by ${holder}`}`,
    `Stop that program, or start with AFLUENTE_PORTS=free (or another port: AFLUENTE_PORTS=${part}=${port + 1})`,
  )
}
