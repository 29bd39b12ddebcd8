/** The whole round on the real parts: a commit rings, a function runs in its isolate and calls the database back. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { anonKey, type Cloud, serviceKey, startCloud, startStandIn, type StandIn } from './cloud.ts'

let cloud: Cloud
let standIn: StandIn
let host: ChildProcess
let folder: string

beforeAll(async () => {
  cloud = await startCloud()
  // The cloud's own worker would take the doorbells to the played edge host.
  await cloud.standIn.stop()
  folder = await mkdtemp(join(tmpdir(), 'afluente-functions-'))
  const configFile = join(folder, 'config.toml')
  await writeFile(
    configFile,
    `[api]\nschemas = ["public", "afluente"]\n[functions.echo]\nverify_jwt = false\nentrypoint = "${resolve('test/edge/fixtures/echo.ts')}"\n`,
  )
  const edgePort = await startedHost(configFile)
  standIn = await startStandIn({ ...cloud.environment, SUPABASE_CONFIG: configFile, EDGE_URL: `http://127.0.0.1:${edgePort}` })
})

afterAll(async () => {
  host.kill('SIGTERM')
  await standIn.stop()
  await cloud.stop()
  await rm(folder, { recursive: true, force: true })
})

/** The function asks the stand-in that is started after it, so that one's address goes in with each call. */
async function startedHost(configFile: string): Promise<number> {
  host = spawn('node_modules/.bin/deno', ['run', '--allow-all', 'infra/local/edge/main.ts'], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: '0', SUPABASE_CONFIG: configFile, SUPABASE_SERVICE_ROLE_KEY: serviceKey },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((done) => host.stdout?.once('data', (line: Buffer) => done((JSON.parse(line.toString()) as { port: number }).port)))
}

it('a commit rings, the function runs in its isolate, and supabase-js there calls the database', async () => {
  const target = `${standIn.url}/functions/v1/echo/rpc?schema=afluente&name=give&url=${encodeURIComponent(standIn.url)}`
  const [row] = await cloud.sql(`select net.http_post($1, '{"shard": 1, "versions": [5, 6]}')::text id`, [target])
  const response = await eventually(
    'its answer',
    async () => (await cloud.sql('select status_code, content::json from net._http_response where id = $1', [row?.['id']]))[0],
  )
  expect(response).toEqual({ status_code: 200, content: { data: { shard: 1, count: 2, last: 6, note: 'none' }, error: null } })
})

it('streams bodies of some megabytes both ways', async () => {
  const body = 'ação'.repeat(500_000)
  const answer = await fetch(`${standIn.url}/functions/v1/echo`, { method: 'POST', body, headers: { apikey: anonKey } })
  expect(await answer.text()).toBe(body)
})
