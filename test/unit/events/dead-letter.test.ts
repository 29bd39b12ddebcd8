import { describe, expect, test } from 'vitest'
import { isLetterState, letterActions, letterStates, letterTransitions, likenessOf, nextState, statesFor } from '../../../shared/events/dead-letter.ts'

describe('the life of a dead letter', () => {
  test('has an answer for every action in every state, and leads to a state that there is', () => {
    for (const state of letterStates) {
      for (const action of letterActions) expect([null, ...letterStates]).toContain(letterTransitions[state][action])
    }
  })

  test('one that was discarded never comes back: a purge of tombstones counts on it', () => {
    for (const action of letterActions) expect([null, 'discarded']).toContain(nextState('discarded', action))
  })

  test('what is under way can be neither discarded, replaced nor taken again, and each redrive ends', () => {
    expect((['discard', 'replace', 'redrive'] as const).map((action) => nextState('redriven', action))).toEqual([null, null, null])
    expect((['land', 'fail', 'release'] as const).map((action) => nextState('redriven', action))).toEqual(['resolved', 'open', 'open'])
  })

  test('one that had ended well is open again when its record comes again and fails', () => {
    expect(nextState('resolved', 'bury')).toBe('open')
  })

  test('only what waits is redriven, replaced or discarded', () => {
    expect((['redrive', 'replace', 'discard'] as const).map(statesFor)).toEqual([['open'], ['open'], ['open']])
    expect(isLetterState('toString')).toBe(false)
  })
})

test('letters fail alike whatever numbers and quoted texts their messages hold; another consumer, table, code or wording is another kind', () => {
  const letter = { table: 'public.leads', code: '22P02', message: 'value "12" at 77' }
  const like = likenessOf(letter, 'postgres')
  expect(likenessOf({ ...letter, message: 'value "a b" at 3' }, 'postgres')).toBe(like)
  const others = [
    likenessOf(letter, 'other'),
    ...[{ table: null }, { code: '1' }, { message: 'no' }].map((over) => likenessOf({ ...letter, ...over }, 'postgres')),
  ]
  expect(new Set([like, ...others]).size).toBe(5)
})
