import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Proxy, startProxy } from '../../chaos/proxy.ts'
import { eventually } from '../../support/poll.ts'

let server: Server
let proxy: Proxy
const tapped: string[] = []

/** Answers everything it gets, and its end with an end. */
beforeEach(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: serverPort } = server.address() as AddressInfo
  const tap = () => (bytes: Buffer) => void tapped.push(bytes.toString())
  for (let tries = 0; ; tries += 1) {
    try {
      proxy = await startProxy({ port: 10_000 + Math.floor(Math.random() * 20_000), serverPort, random: () => 0.5, tap })
      break
    } catch (error) {
      if (tries === 5) throw error
    }
  }
})
afterEach(async () => {
  await proxy.close()
  server.close()
  tapped.length = 0
})

async function client(): Promise<{ readonly socket: Socket; readonly got: () => string; readonly ended: Promise<string> }> {
  const socket = connect({ port: proxy.port, host: '127.0.0.1' })
  let text = ''
  socket.on('data', (piece) => (text += piece.toString()))
  const ended = new Promise<string>((resolve) => {
    socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.message))
    socket.once('end', () => resolve('end'))
  })
  await once(socket, 'connect')
  return { socket, got: () => text, ended }
}

test('passes everything on, in both directions and to the end, and shows what goes to the server', async () => {
  const { socket, got, ended } = await client()
  const long = 'x'.repeat(3_000_000)
  socket.write(long)
  socket.end('.')
  expect(await ended).toBe('end')
  expect(got().length).toBe(long.length + 1)
  expect(tapped.join('').length).toBe(long.length + 1)
})

test('a black hole keeps what comes, and delivers it afterwards', async () => {
  const { socket, got, ended } = await client()
  proxy.become({ blackHole: true })
  socket.write('late')
  await eventually('it is held', () => proxy.counts.held === 1)
  expect(got()).toBe('')
  socket.end()
  proxy.become({})
  expect(await ended).toBe('end')
  expect(got()).toBe('late')
})

test('what a killed client had sent before still arrives at the server', async () => {
  const { socket } = await client()
  proxy.become({ blackHole: true })
  socket.write('last words')
  await eventually('it is held', () => proxy.counts.held === 1)
  socket.resetAndDestroy()
  proxy.become({})
  await eventually('the server has it', () => tapped.join('') === 'last words')
})

test('a cut connection has brought so many bytes and is reset', async () => {
  proxy.become({ cut: { afterBytes: 1_000, toServer: false } })
  const { socket, got, ended } = await client()
  socket.write('y'.repeat(5_000))
  expect(await ended).toBe('ECONNRESET')
  expect(got().length).toBeLessThanOrEqual(1_000)
  expect(proxy.counts.cuts).toBe(1)
})

test('reset ends every connection, refuse every new one, and both are over when the weather is fine', async () => {
  const first = await client()
  first.socket.write('a')
  await eventually('it is through', () => first.got() === 'a')
  proxy.reset()
  expect(await first.ended).toBe('ECONNRESET')
  proxy.become({ refuse: true })
  const second = await client().catch((error: unknown) => error)
  expect(second instanceof Error || (await (second as Awaited<ReturnType<typeof client>>).ended) === 'ECONNRESET').toBe(true)
  proxy.become({})
  const third = await client()
  third.socket.end('b')
  expect(await third.ended).toBe('end')
})

test('latency holds back each piece, slow closes the end', async () => {
  proxy.become({ latencyMs: 60, slowCloseMs: 200 })
  const { socket, got, ended } = await client()
  const began = performance.now()
  socket.end('z')
  await eventually('it is through', () => got() === 'z')
  expect(performance.now() - began).toBeGreaterThan(110)
  expect(await ended).toBe('end')
  expect(performance.now() - began).toBeGreaterThan(300)
})
