/** Failpoints are put around the product's ports by tests. Nothing that is deployed knows of them, so nothing can switch them on, and they cost nothing. */
import { expect, test } from 'vitest'
import { backfillBoundaries, captureBoundaries, deliverBoundaries, redriveBoundaries } from '../support/failpoints/boundaries.ts'
import { filesOf, textOf } from '../support/repository.ts'
import { importsOf } from './imports.ts'

const deployed = filesOf('shared', 'functions', 'infra', 'supabase', 'sql', 'package.json', 'wrangler.toml', 'deno.json', '.env.example')
const knows = (text: string) =>
  /fail-?point/i.test(text) ||
  [...captureBoundaries, ...deliverBoundaries, ...backfillBoundaries, ...redriveBoundaries].some((name) => text.includes(`'${name}'`))

test('nothing outside the tests names a failpoint or a boundary, or imports from the tests', () => {
  expect(deployed.length).toBeGreaterThan(300)
  expect(deployed.filter((file) => knows(textOf(file)))).toEqual([])
  const code = deployed.filter((file) => /\.m?[jt]s$/.test(file))
  expect(code.filter((file) => importsOf(textOf(file)).some((name) => /\btest\/(support|flow|contract)\//.test(name)))).toEqual([])
})

test('the check finds what it looks for', () => {
  expect(knows(textOf('test/support/failpoints/ports.ts'))).toBe(true)
  expect(knows(`const at = env['AFLUENTE_FAILPOINT']`)).toBe(true)
  expect(knows(`call('deliver.write', work)`)).toBe(true)
  expect(knows(`log.info('capture.published')`)).toBe(false)
})
