import { describe, expect, test } from 'vitest'
import { captureSettings, deploySettings, type Environment, kafkaSettings, workerSettings } from '../../../shared/config.ts'
import type { AnyPipeline } from '../../../shared/engine/define.ts'
import { demandsOf } from '../../../shared/engine/definition-faults.ts'
import { isAfluenteError } from '../../../shared/engine/errors.ts'
import { pipeline } from '../../../shared/pipeline.ts'

const kafka = { KAFKA_BROKERS: 'a.example:9092, b.example:9092' }
const capture = {
  ...kafka,
  SUPABASE_URL: 'https://abcdefgh.supabase.co/',
  SUPABASE_SERVICE_ROLE_KEY: 'service-role-key-of-16',
  AFLUENTE_WEBHOOK_SECRET: 'webhook-secret-of-16',
}
const worker = { ...capture, ANALYTICS_DATABASE_URL: 'postgres://u:p@localhost/analytics', AFLUENTE_API_TOKEN: 'an-api-token-of-more-than-16' }

/** The lines of the error, one a fault. */
function faults(read: (environment: Environment) => unknown, environment: Environment): readonly string[] {
  try {
    read(environment)
    return []
  } catch (error) {
    if (!isAfluenteError(error) || error.kind !== 'misconfigured') throw error
    return error.message.split('\n').filter((line) => line.startsWith('  - '))
  }
}

const namesIn = (lines: readonly string[]) => lines.map((line) => line.slice(4).split(':')[0] ?? '')

describe('a good environment', () => {
  test('becomes settings', () => {
    expect(captureSettings(capture)).toEqual({
      supabase: { url: 'https://abcdefgh.supabase.co', serviceRoleKey: 'service-role-key-of-16', ref: 'abcdefgh' },
      kafka: { brokers: ['a.example:9092', 'b.example:9092'], ssl: false, ca: undefined, sasl: undefined },
      webhookSecret: 'webhook-secret-of-16',
    })
    expect(workerSettings(worker)).toMatchObject({ analyticsUrl: worker.ANALYTICS_DATABASE_URL, elasticsearch: undefined, environment: 'local' })
  })

  test('may hold SASL, a private CA and TLS', () => {
    const sasl = { KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'p' }
    expect(kafkaSettings({ ...kafka, ...sasl, KAFKA_SSL: 'true', KAFKA_CA: 'pem' })).toMatchObject({
      ssl: true,
      ca: 'pem',
      sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'p' },
    })
  })

  test('an empty variable is one that is not set', () => {
    expect(workerSettings({ ...worker, ELASTICSEARCH_URL: '', KAFKA_CA: '', KAFKA_SSL: '', KAFKA_USERNAME: '', ANALYTICS: undefined })).toMatchObject({
      elasticsearch: undefined,
    })
  })

  test('a Hyperdrive binding wins over the plain URL', () => {
    expect(workerSettings({ ...worker, ANALYTICS: { connectionString: 'postgres://hyperdrive/x' } })).toMatchObject({
      analyticsUrl: 'postgres://hyperdrive/x',
      analyticsPooled: true,
    })
    expect(workerSettings(worker).analyticsPooled).toBe(false)
  })

  test('a project that is no hosted one has the reference local', () => {
    expect(captureSettings({ ...capture, SUPABASE_URL: 'http://127.0.0.1:54321' }).supabase.ref).toBe('local')
  })
})

describe('a wrong environment', () => {
  test('an empty one has every required name in the list, once, and nothing else', () => {
    expect(namesIn(faults(captureSettings, {})).toSorted()).toEqual(['AFLUENTE_WEBHOOK_SECRET', 'KAFKA_BROKERS', 'SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_URL'])
    expect(namesIn(faults(workerSettings, {})).toSorted()).toEqual([
      'AFLUENTE_API_TOKEN',
      'AFLUENTE_WEBHOOK_SECRET',
      'ANALYTICS_DATABASE_URL',
      'KAFKA_BROKERS',
      'SUPABASE_SERVICE_ROLE_KEY',
      'SUPABASE_URL',
    ])
    expect(faults(kafkaSettings, {})).toEqual(['  - KAFKA_BROKERS: missing.'])
  })

  test('every fault at once, by name, never by value', () => {
    const secret = 'hunter2'
    const environment = {
      KAFKA_BROKERS: `${secret}:99999`,
      KAFKA_SSL: secret,
      KAFKA_SASL_MECHANISM: secret,
      KAFKA_USERNAME: secret,
      SUPABASE_URL: `ftp://${secret}`,
      SUPABASE_SERVICE_ROLE_KEY: secret,
      AFLUENTE_WEBHOOK_SECRET: secret,
      AFLUENTE_API_TOKEN: secret,
      ANALYTICS: { connectionString: 5, password: secret },
      ANALYTICS_DATABASE_URL: secret,
      ELASTICSEARCH_URL: secret,
      KAFKA_CA: secret,
    }
    const lines = faults(workerSettings, environment)
    expect(namesIn(lines).toSorted()).toEqual([...Object.keys(environment).filter((name) => name !== 'KAFKA_USERNAME'), 'KAFKA_PASSWORD'].toSorted())
    expect(lines.join()).not.toContain(secret)
    expect(lines).toContain('  - KAFKA_SASL_MECHANISM: must be one of plain, scram-sha-256, scram-sha-512.')
    expect(lines).toContain('  - KAFKA_SSL: must be one of 0, 1, true, false.')
  })

  test.each(['no-port', 'host:', ':9092', 'host:0', 'host:70000', 'a:1,', 'http://a:1', 'a b:1'])('brokers %s', (brokers) => {
    expect(faults(kafkaSettings, { KAFKA_BROKERS: brokers })).toEqual(['  - KAFKA_BROKERS: must be host:port, several with commas between them.'])
  })

  test('of the three SASL names none may be missing alone', () => {
    expect(faults(kafkaSettings, { ...kafka, KAFKA_PASSWORD: 'p' })).toEqual([
      '  - KAFKA_SASL_MECHANISM: missing. The three of KAFKA_SASL_MECHANISM, KAFKA_USERNAME, KAFKA_PASSWORD go together.',
      '  - KAFKA_USERNAME: missing. The three of KAFKA_SASL_MECHANISM, KAFKA_USERNAME, KAFKA_PASSWORD go together.',
    ])
  })

  test('a private CA is refused in the Worker, taken elsewhere', () => {
    expect(namesIn(faults(workerSettings, { ...worker, KAFKA_CA: 'pem' }))).toEqual(['KAFKA_CA'])
    expect(faults(captureSettings, { ...capture, KAFKA_CA: 'pem', KAFKA_SSL: 'true' })).toEqual([])
  })

  test.each(['false', '0', undefined])('a private CA without TLS (KAFKA_SSL %s) is a contradiction', (ssl) => {
    expect(faults(kafkaSettings, { ...kafka, KAFKA_CA: 'pem', KAFKA_SSL: ssl })).toEqual([expect.stringMatching(/^ {2}- KAFKA_CA: .*KAFKA_SSL=true/)])
  })

  test.each(['a secret with spaces', 'ends-with-a-newline\n', 'a-secret-of-señoras'])('a secret that no header can carry: %j', (secret) => {
    const lines = faults(workerSettings, { ...worker, AFLUENTE_WEBHOOK_SECRET: secret, AFLUENTE_API_TOKEN: secret })
    expect(namesIn(lines).toSorted()).toEqual(['AFLUENTE_API_TOKEN', 'AFLUENTE_WEBHOOK_SECRET'])
    expect(lines.join()).not.toContain(secret)
  })
})

describe('with a definition', () => {
  const wrong: AnyPipeline = { ...pipeline, topics: { ...pipeline.topics, partitions: 0 } }

  test('the environment, what the definition needs in it, and the definition itself are told in one error', () => {
    const lines = faults((environment) => workerSettings(environment, demandsOf(wrong)), {})
    expect(namesIn(lines)).toEqual(expect.arrayContaining(['KAFKA_BROKERS', 'ANALYTICS_DATABASE_URL', 'ELASTICSEARCH_URL', 'topics.partitions']))
    expect(namesIn(lines)).toContain('CHATWOOT_DATABASE_URL')
    expect(lines).toHaveLength(9)
  })

  test('a definition that is wrong alone does not blame the environment', () => {
    expect(() => workerSettings({ ...worker, ELASTICSEARCH_URL: 'http://e:9200', CHATWOOT_DATABASE_URL: 'postgres://c/x' }, demandsOf(wrong))).toThrow(
      expect.objectContaining({ code: 'definition', message: expect.stringMatching(/^shared\/pipeline\.ts has 1 fault/) }),
    )
  })

  test('what ETL jobs read is wanted where there are jobs that read it; a Hyperdrive binding wins', () => {
    const { etl: _, ...without } = pipeline
    const environment = { ...worker, ELASTICSEARCH_URL: 'http://e:9200' }
    expect(faults((given) => workerSettings(given, demandsOf(pipeline)), environment)).toEqual([
      expect.stringMatching(/CHATWOOT_DATABASE_URL: missing\. The ETL job conversations .*take the job out/),
    ])
    expect(workerSettings(environment, demandsOf(without)).chatwootUrl).toBeUndefined()
    const both = { ...environment, CHATWOOT_DATABASE_URL: 'postgres://c/x', CHATWOOT: { connectionString: 'postgres://hyperdrive/c' } }
    expect(workerSettings(both, demandsOf(pipeline)).chatwootUrl).toBe('postgres://hyperdrive/c')
    expect(namesIn(faults((given) => workerSettings(given), { ...environment, CHATWOOT_DATABASE_URL: 'mysql://me:topsecret@c/x' }))).toEqual([
      'CHATWOOT_DATABASE_URL',
    ])
  })

  test('a deploy needs the analytics database, Kafka, and Elasticsearch and Chatwoot where the definition uses them', () => {
    expect(namesIn(faults((environment) => deploySettings(environment, demandsOf(pipeline)), {})).toSorted()).toEqual([
      'ANALYTICS_DATABASE_URL',
      'CHATWOOT_DATABASE_URL',
      'ELASTICSEARCH_URL',
      'KAFKA_BROKERS',
    ])
    const { elasticsearch: _, ...consumers } = pipeline.consumers
    const postgres = { ...kafka, ANALYTICS_DATABASE_URL: worker.ANALYTICS_DATABASE_URL, CHATWOOT_DATABASE_URL: 'postgres://c/x' }
    expect(deploySettings(postgres, demandsOf({ ...pipeline, consumers }))).toMatchObject({ elasticsearch: undefined, sourceUrl: undefined })
    expect(deploySettings({ ...postgres, ELASTICSEARCH_URL: 'http://e:9200', SOURCE_DATABASE_URL: 'postgres://s/x' }, demandsOf(pipeline))).toMatchObject({
      elasticsearch: { url: 'http://e:9200' },
      sourceUrl: 'postgres://s/x',
    })
  })
})
