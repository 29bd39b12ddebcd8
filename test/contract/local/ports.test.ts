import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Fault } from '../../../infra/local/fault.ts'
import { assertFree, choosePorts, defaultPorts, parsePorts } from '../../../infra/local/ports.ts'

const servers: ReturnType<typeof createServer>[] = []

function listenOn(port: number): Promise<number> {
  const server = createServer()
  servers.push(server)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

describe('AFLUENTE_PORTS', () => {
  it('may be empty, free, or pairs', () => {
    expect(parsePorts(undefined)).toEqual({})
    expect(parsePorts(' ')).toEqual({})
    expect(parsePorts('free')).toBe('free')
    expect(parsePorts('elasticsearch=9201, worker=8790')).toEqual({ elasticsearch: 9201, worker: 8790 })
  })

  it.each(['opensearch=9201', 'worker=0', 'worker=70000', 'worker', 'worker=http'])('refuses %s and says which names there are', (text) => {
    expect(() => parsePorts(text)).toThrow(Fault)
    expect(() => parsePorts(text)).toThrow(expect.objectContaining({ advice: expect.stringContaining('kafkaController') as string }))
  })
})

describe('the ports of a stack', () => {
  it('are the known ones with those of one’s own in place', async () => {
    expect(await choosePorts({ worker: 8790 })).toEqual({ ...defaultPorts, worker: 8790 })
  })

  it('are all different and free where any may be taken, even when chance repeats itself', async () => {
    const taken = await listenOn(0)
    // Chance that first points at a taken port, then at one free port again and again, then at others.
    const draws = [taken, 12_345, 12_345, 12_345]
    let next = 20_000
    const ports = await choosePorts('free', () => ((draws.shift() ?? next++) - 10_000) / 20_000)
    const chosen = Object.values(ports)
    expect(new Set(chosen).size).toBe(Object.keys(defaultPorts).length)
    expect(chosen).not.toContain(taken)
    for (const port of chosen) await assertFree('a part', port)
  })
})

describe('a port that is taken', () => {
  it('is told with its part, who has it, and what to do', async () => {
    const port = await listenOn(0)
    const fault: unknown = await assertFree('elasticsearch', port).catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(Fault)
    expect(String(fault)).toContain(`Port ${port}, which elasticsearch wants, is taken by`)
    expect(String(fault)).toContain(`(pid ${process.pid})`)
    expect(fault).toMatchObject({ advice: expect.stringContaining('AFLUENTE_PORTS=free') as string })
  })
})
