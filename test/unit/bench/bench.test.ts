import { describe, expect, test } from 'vitest'
import { difference } from '../../bench/edge-difference.ts'
import { readOptions } from '../../bench/options.ts'
import { percentilesOf } from '../../bench/percentiles.ts'
import { paceOf } from '../../bench/hops.ts'
import { perSecond, rateOf } from '../../bench/throughput-rows.ts'
import { spanOf } from '../../bench/workload.ts'

describe('percentiles', () => {
  test('are values that were measured, by nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at)
    expect(percentilesOf(values)).toEqual({ p50Ms: 50, p95Ms: 95, p99Ms: 99, maxMs: 100 })
    expect(percentilesOf([7.04])).toEqual({ p50Ms: 7, p95Ms: 7, p99Ms: 7, maxMs: 7 })
  })

  test('of nothing are unknown, not zero', () => {
    expect(percentilesOf([])).toEqual({ p50Ms: null, p95Ms: null, p99Ms: null, maxMs: null })
  })
})

describe('a rate', () => {
  test('leaves out what came with the first commit, which took no part in the time between', () => {
    expect(rateOf({ rows: 3_000, withFirst: 1_000, firstMs: 5_000, lastMs: 7_000 })).toBe(1_000)
    expect(perSecond(500, 250)).toBe(2_000)
  })

  test('over several tables begins with the first commit of any and ends with the last', () => {
    const spans = [
      { rows: 300, withFirst: 100, firstMs: 5_000, lastMs: 6_000 },
      { rows: 200, withFirst: 200, firstMs: 5_500, lastMs: 5_500 },
      { rows: 0, withFirst: 0, firstMs: 0, lastMs: 0 },
    ]
    expect(spanOf(spans)).toEqual({ rows: 500, withFirst: 100, firstMs: 5_000, lastMs: 6_000 })
    expect(spanOf([])).toEqual({ rows: 0, withFirst: 0, firstMs: 0, lastMs: 0 })
  })

  test('of capture leaves out the time to its first event, and is unknown where one look saw them all', () => {
    const looks = [
      { ms: 20, published: 0 },
      { ms: 400, published: 1_000 },
      { ms: 900, published: 11_000 },
    ]
    expect(paceOf(looks)).toEqual({ firstEventMs: 400, steadyRowsPerSecond: 20_000 })
    expect(paceOf(looks.slice(0, 2))).toEqual({ firstEventMs: 400, steadyRowsPerSecond: null })
    expect(paceOf([])).toEqual({ firstEventMs: null, steadyRowsPerSecond: null })
  })
})

describe('what the host of the Edge Functions counted', () => {
  test('is the difference of two looks, and unknown where nobody can be asked', () => {
    expect(difference({ handOvers: 3, crashed: 0 }, { handOvers: 5, crashed: 1 })).toEqual({ handOvers: 2, crashed: 1 })
    expect(difference(null, { handOvers: 5 })).toBeNull()
  })
})

describe('options', () => {
  test('have the defaults of the contract', () => {
    expect(readOptions(['latency'])).toEqual({
      name: 'latency',
      rates: [20, 50, 500],
      seconds: 20,
      rows: 200_000,
      rounds: 9,
      claims: 1_000_000,
      viewRows: 50_000,
      backlog: 1_000_000,
      only: [],
      commits: [],
      endToEndOnly: false,
      attach: false,
    })
    expect(readOptions(['throughput', '--rows', '1000', '--end-to-end', '--attach'])).toMatchObject({ rows: 1_000, endToEndOnly: true, attach: true })
    expect(readOptions(['capture', '--rounds', '3'])).toMatchObject({ rows: 100_000, rounds: 3, only: ['rows', 'statements', 'claims'] })
    expect(readOptions(['compare', 'HEAD~1'])).toMatchObject({ commits: ['HEAD~1'], rounds: 6, rows: 20_000, only: ['end-to-end', 'hops', 'latency'] })
    expect(readOptions(['compare', 'a', 'b', '--only', 'hops'])).toMatchObject({ commits: ['a', 'b'], only: ['hops'] })
    expect(readOptions(['etl', '--view-rows', '0'])).toMatchObject({ name: 'etl', rows: 500_000, viewRows: 0 })
    expect(readOptions(['short'])).toMatchObject({ name: 'short', rows: 20_000, seconds: 5 })
    expect(readOptions(['redrive'])).toMatchObject({ name: 'redrive', rows: 10_000 })
    expect(readOptions(['--help'])).toBe('help')
  })

  test.each([
    [[]],
    [['speed']],
    [['latency', 'throughput']],
    [['latency', '--rates', '20,x']],
    [['throughput', '--rows', '0']],
    [['latency', '--fast']],
    [['capture', '--rounds', '0']],
    [['capture', '--only', 'hops']],
    [['latency', '--only', 'rows']],
    [['compare']],
    [['compare', 'a', 'b', 'c']],
  ])('%j is wrong use', (args) => {
    expect(() => readOptions(args)).toThrow(RangeError)
  })
})
