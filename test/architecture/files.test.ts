import { expect, test } from 'vitest'
import { filesOf, textOf } from '../support/repository.ts'

const isText = (file: string) => !/\.(?:png|jpg|ico|woff2?|jar|gz)$/.test(file)
const all = filesOf().filter((file) => isText(file) && file !== 'package-lock.json')

test('the checks have seen the files', () => {
  expect(all.length).toBeGreaterThan(150)
})

test('no file of the product is longer than 300 lines', () => {
  const product = filesOf('shared/*.ts', 'functions/*.ts', 'infra/*.ts', 'infra/*.mjs')
  expect(product.length).toBeGreaterThan(100)
  const lengths = product.map((file) => ({ file, lines: textOf(file).split('\n').length }))
  expect(lengths.filter(({ lines }) => lines > 300)).toEqual([])
})

test('half of the files of the product have fewer than 130 lines', () => {
  const lengths = filesOf('shared/*.ts', 'functions/*.ts').map((file) => textOf(file).split('\n').length)
  expect(lengths.toSorted((a, b) => a - b)[Math.floor(lengths.length / 2)]).toBeLessThan(130)
})

test("no file names a path of somebody's machine", () => {
  const machine = new RegExp(String.raw`(?<![\w.$})/-])/(?:work|root|Users/\w+|home/\w+)/`)
  expect(all.filter((file) => machine.test(textOf(file)))).toEqual([])
})

test('no file is left half done', () => {
  const marks = new RegExp(['TO', 'DO|FIX', 'ME|X', 'XX'].join(''))
  expect(all.filter((file) => new RegExp(`\\b(?:${marks.source})\\b`).test(textOf(file)))).toEqual([])
})

test('imports of zod are those that stay small in a bundle', () => {
  const importers = filesOf('shared/*.ts', 'functions/*.ts', 'infra/*.ts').filter((file) => /from 'zod'/.test(textOf(file)))
  expect(importers.length).toBeGreaterThan(0)
  expect(importers.filter((file) => !textOf(file).includes(`import * as z from 'zod'`))).toEqual([])
})
