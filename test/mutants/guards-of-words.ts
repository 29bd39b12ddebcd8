/** Guards of what is said and let in: secrets, people's data, edits, what an ETL job cleans. */
import type { Guard } from './guard.ts'

const api: Guard['tests'] = ['contract', 'test/contract/api/dead-letters.test.ts']

export const guardsOfWords: readonly Guard[] = [
  {
    name: 'a doorbell wants its secret',
    file: 'functions/capture/handler.ts',
    line: 'if (!(await isSigned(request.headers, secret))) {',
    sabotage: 'if (secret === "" && !(await isSigned(request.headers, secret))) {',
    tests: ['unit', 'test/unit/capture/handler.test.ts'],
  },
  {
    name: 'no secret is the same as an empty one',
    file: 'shared/engine/secret.ts',
    line: "let difference = given === undefined || expected === '' ? 1 : 0",
    sabotage: 'let difference = 0',
    tests: ['unit', 'test/unit/engine/secret.test.ts'],
  },
  {
    name: 'what Postgres quotes of a row stands in no error',
    file: 'shared/adapters/postgres/faults.ts',
    line: 'return /^(?:22|54)/.test(state) ? keyless',
    sabotage: 'return /^(?:99)/.test(state) ? keyless',
    tests: ['unit', 'test/unit/postgres/faults.test.ts'],
  },
  {
    name: 'the key that a constraint names stands in no error',
    file: 'shared/adapters/postgres/faults.ts',
    line: String.raw`message.replace(/Key \(.*\)=\(.*\)/s, 'Key (…)=(…)')`,
    sabotage: 'message',
    tests: ['unit', 'test/unit/postgres/faults.test.ts'],
  },
  {
    name: 'what a trigger of somebody says stands in no error',
    file: 'shared/adapters/postgres/faults.ts',
    line: "memberOf(error, 'routine') === RAISED ? OF_A_FUNCTION : masked(textOf(error), state)",
    sabotage: 'masked(textOf(error), state)',
    tests: ['unit', 'test/unit/postgres/faults.test.ts'],
  },
  {
    name: 'what Elasticsearch quotes of a row stands in no error',
    file: 'shared/adapters/elasticsearch/faults.ts',
    line: 'return `The index ${index} refused ${what} (${error.type}).',
    sabotage: 'return `The index ${index} refused ${what} (${error.type} ${error.reason}).',
    tests: ['contract', 'test/contract/sink/elasticsearch.test.ts'],
  },
  {
    name: 'letters show kinds, not values',
    file: 'functions/api/dead-letters/view.ts',
    line: 'value: revealed ? record.value : maskedValue(record.value)',
    sabotage: 'value: record.value',
    tests: api,
  },
  {
    name: 'headers of strangers are masked as well',
    file: 'shared/mappings/masked-record.ts',
    line: 'OWN_HEADER.test(name) ? value.toString() : textOf(value.toString())',
    sabotage: 'value.toString()',
    tests: api,
  },
  {
    name: 'a row’s event is never edited',
    file: 'functions/api/dead-letters/edit.ts',
    line: 'if (letter.topic !== APPLICATION_TOPIC)',
    sabotage: 'if (letter.topic === "")',
    tests: api,
  },
  {
    name: 'an edited event is checked before it is sent',
    file: 'functions/api/dead-letters/edit.ts',
    line: 'if (faults.length > 0) return',
    sabotage: 'if (faults.length > 99) return',
    tests: api,
  },
  {
    name: 'a dry run sends nothing',
    file: 'functions/api/dead-letters/edit.ts',
    line: 'if (dryRun) {',
    sabotage: 'if (false) {',
    tests: api,
  },
  {
    name: 'a filter that names what is not there does nothing',
    file: 'functions/api/dead-letters/filter.ts',
    line: 'if (missing.length > 0) return',
    sabotage: 'if (missing.length > 9_999) return',
    tests: api,
  },
  // ETL.
  {
    name: 'a number beyond its column is refused before it is written',
    file: 'shared/steps/fitting.ts',
    line: 'if (value > BIGGEST[type] || value < -BIGGEST[type] - 1n)',
    sabotage: 'if (value > BIGGEST.bigint)',
    tests: ['unit', 'test/unit/etl/clean.test.ts'],
  },
  {
    name: 'a day that no month has is refused before it is written',
    file: 'shared/steps/fitting.ts',
    line: '!isDay(date, era !== undefined)',
    sabotage: 'false',
    tests: ['unit', 'test/unit/etl/clean.test.ts'],
  },
  {
    name: 'a number without a word is kept and counted, not guessed',
    file: 'shared/steps/clean.ts',
    line: '(words[Number(text)] ?? `unknown(${text})`)',
    sabotage: '(words[Number(text)] ?? words[0] ?? null)',
    tests: ['unit', 'test/unit/etl/clean.test.ts'],
  },
  {
    name: 'a time that has a zone keeps it',
    file: 'shared/steps/clean.ts',
    line: 'return date === undefined || zone !== undefined ? text :',
    sabotage: 'return date === undefined ? text :',
    tests: ['unit', 'test/unit/etl/clean.test.ts'],
  },
]
