import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { faultOf, masked } from '../../../shared/adapters/postgres/faults.ts'

function postgresError(code: string, message = 'it failed', more: object = {}): Error {
  return Object.assign(new pg.DatabaseError(message, 1, 'error'), { code, severity: 'ERROR' }, more)
}

const kinds = {
  unavailable: ['08006', '40001', '40P01', '53100', '53300', '55P03', '57014', '57P01', '57P03', '58000', 'XX000', '25006', '0A000'],
  refused: ['21000', '22001', '22003', '22007', '22021', '22P02', '22P05', '23502', '23505', '23514', '44000', '54000', '54001', 'P0001'],
  misconfigured: ['28P01', '28000', '3D000', '3F000', '42P01', '42703', '42501', '42804', '42846', '42883', '26000', '42P05'],
} as const

describe('what a fault of Postgres means', () => {
  for (const [kind, states] of Object.entries(kinds)) {
    test.for(states)(`%s is ${kind}`, (state) => {
      expect(faultOf(postgresError(state))).toMatchObject({ name: 'AfluenteError', kind, code: state })
    })
  }

  test.for(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND', 'EPIPE', 'EPERM'])('%s on the way there is unavailable', (code) => {
    expect(faultOf(Object.assign(new Error('connect'), { code }))).toMatchObject({ kind: 'unavailable', code })
  })

  test('a connection that ends without a code is unavailable', () => {
    expect(faultOf(new Error('Connection terminated unexpectedly'))).toMatchObject({ kind: 'unavailable', code: 'connection' })
  })

  test('each wrong configuration says what to do', () => {
    expect(faultOf(postgresError('42P01', 'relation "silver.leads" does not exist')).message).toMatch(/silver\.leads.*deploy/)
    expect(faultOf(postgresError('28P01')).message).toMatch(/ANALYTICS_DATABASE_URL/)
  })

  test('a value of a row never stands in the message, nor what Postgres adds as detail', () => {
    const secret = 'ana@example.com'
    for (const message of [
      `invalid input syntax for type uuid: "${secret}"`,
      `value "x" y "${secret}" is out of range`,
      `malformed array literal: "{"${secret}"}"`,
      `bad: "line\n${secret}"`,
      `bad: 'it''s ${secret}'`,
      `Key (mail)=(${secret}) is bad`,
    ]) {
      expect(faultOf(postgresError('22P02', message, { detail: secret, where: secret })).message).not.toContain(secret)
    }
  })

  test.for(['P0001', 'P0004', '23514'])('the words of a function that raised %s are not shown; code, table and constraint are', (state) => {
    const error = postgresError(state, 'Ana Souza is not welcome', { routine: 'exec_stmt_raise', table: 'leads', constraint: 'leads_mine' })
    expect(faultOf(error)).toMatchObject({ code: state, message: expect.stringMatching(/\(table leads\).*\(constraint leads_mine\)/) as unknown })
    expect(faultOf(error).message).not.toContain('Ana')
    expect(masked('Ana Souza is not welcome', 'P0001')).not.toContain('Ana')
  })

  test('names of columns and constraints stay', () => {
    expect(faultOf(postgresError('23502', 'null value in column "id" violates not-null constraint', { column: 'id' })).message).toMatch(/"id".*\(column id\)/)
    expect(masked('duplicate key value violates unique constraint "leads_pkey"', '23505')).toContain('leads_pkey')
  })

  test('the cause is kept', () => {
    const cause = postgresError('22P02')
    expect(faultOf(cause).cause).toBe(cause)
  })
})
