import { expect, test } from 'vitest'
import { filesOf, textOf } from '../support/repository.ts'

const NAME = /\b(?:AFLUENTE|ANALYTICS|CHATWOOT|ELASTICSEARCH|KAFKA|SOURCE|SUPABASE)_[A-Z_]+\b/g
const namesIn = (text: string) => new Set(text.match(NAME))

const example = textOf('.env.example')
const explained = new Set([...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name = '']) => name))
const config = namesIn(textOf('shared/config.ts'))

test('every name that settings are read from stands in .env.example', () => {
  expect(config.size).toBeGreaterThan(10)
  expect([...config].filter((name) => !explained.has(name))).toEqual([])
})

test('every name in .env.example is read somewhere, and has a line of explanation before it', () => {
  const code = filesOf('shared/*.ts', 'functions/*.ts', 'infra/*.ts', 'infra/*.mjs')
  const read = new Set(code.flatMap((file) => [...namesIn(textOf(file))]))
  /** Names of the contract whose readers come with issues of their own. */
  const reserved = ['SOURCE_DATABASE_URL']
  expect(explained.size).toBeGreaterThan(15)
  expect([...explained].filter((name) => !read.has(name) && !reserved.includes(name))).toEqual([])
  const lines = example.split('\n')
  const unexplained = lines.filter((line, at) => /^[A-Z_]+=/.test(line) && !/^#|^[A-Z_]+=/.test(lines[at - 1] ?? ''))
  expect(unexplained).toEqual([])
})

test('.env.example holds no value', () => {
  expect(example.split('\n').filter((line) => /^[A-Z_]+=./.test(line))).toEqual([])
})

test('product code reads its environment in one place', () => {
  const readers = filesOf('shared/*.ts', 'functions/*.ts').filter((file) => file !== 'shared/config.ts')
  expect(readers.length).toBeGreaterThan(50)
  expect(readers.filter((file) => /\bprocess\.env\b|\bDeno\.env\.get\(/.test(textOf(file)))).toEqual([])
})
