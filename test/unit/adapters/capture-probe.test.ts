import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCaptureProbe } from '../../../shared/adapters/supabase/doorbell.ts'

let status = 405
const asked: string[] = []
const server = createServer((request, response) => {
  asked.push(`${request.method ?? ''} ${request.url ?? ''}`)
  response.writeHead(status).end()
})
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
afterAll(() => new Promise<unknown>((resolve) => server.close(resolve)))

const { signal } = new AbortController()
const probe = () => createCaptureProbe({ supabaseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })({ signal })

test('a living capture answers 405 to GET, and is not rung', async () => {
  status = 405
  await expect(probe()).resolves.toBeUndefined()
  expect(asked).toEqual(['GET /functions/v1/capture'])
})

test.each([
  [404, 'misconfigured'],
  [503, 'unavailable'],
  [500, 'unavailable'],
])('%i is a fault: %s', async (given, kind) => {
  status = given
  await expect(probe()).rejects.toMatchObject({ kind })
})
