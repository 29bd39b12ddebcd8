import { describe, expect, it } from 'vitest'
import { parseSupabaseConfig } from '../../../infra/local/supabase/config-toml.ts'

describe('supabase/config.toml', () => {
  it('gives the schemas, the row limit and the functions, whatever else the file holds', () => {
    const text = `
      project_id = "x"   # a name
      [api]
      schemas = [
        "public", # the default
        'afluente',
      ]
      max_rows = 1_000
      [db]
      strange = { a = [1, 2] }
      [functions.capture]
      entrypoint = "../functions/capture/edge.ts"
      verify_jwt = false
      [functions.other]
    `
    expect(parseSupabaseConfig(text)).toEqual({
      api: { schemas: ['public', 'afluente'], maxRows: 1000 },
      functions: { capture: { verifyJwt: false, entrypoint: '../functions/capture/edge.ts' }, other: { verifyJwt: true, entrypoint: undefined } },
    })
  })

  it('checks the JWT where nothing is said', () => {
    expect(parseSupabaseConfig('[functions.quiet]\nentrypoint = "x.ts"').functions['quiet']?.verifyJwt).toBe(true)
  })

  it.each(['[functions.a]\nverify_jwt = "false"', '[functions.a]\nverify_jwt = no', '[api]\nschemas = "public"', '[api]\nmax_rows = "x"', '[api]\nwhat'])(
    'refuses to guess: %s',
    (text) => {
      expect(() => parseSupabaseConfig(text)).toThrow(/supabase\/config\.toml/)
    },
  )
})
