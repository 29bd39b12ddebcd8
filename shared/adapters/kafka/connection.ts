/** Settings → a kafkajs client. The same for capture, deliver, the CLI and tests; on Deno, workerd and Node. */
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs'
import type { KafkaSettings } from '../../config.ts'
import type { Log } from '../../ports/log.ts'
import { installRequestTimer } from './request-timer.ts'

export interface KafkaConnectionOptions {
  /** Shows up in the broker's logs and quotas: `afluente-capture`. */
  readonly clientId: string
  readonly log: Log
  /** How often kafkajs tries again by itself before it throws; its waits double from 100 ms. */
  readonly retries?: number
  readonly connectionTimeoutMs?: number
  readonly requestTimeoutMs?: number
}

/** Connects nothing yet. TLS checks the broker's certificate, against KAFKA_CA alone where that is given. */
export function kafkaClient(
  settings: KafkaSettings,
  { clientId, connectionTimeoutMs = 3_000, log, requestTimeoutMs = 10_000, retries = 2 }: KafkaConnectionOptions,
): Kafka {
  installRequestTimer()
  return new Kafka({
    clientId,
    brokers: [...settings.brokers],
    ssl: settings.ca === undefined ? settings.ssl : { ca: [settings.ca] },
    ...saslOf(settings),
    connectionTimeout: connectionTimeoutMs,
    authenticationTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    retry: { retries, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => {
      // Of kafkajs's own words only where they come from and its error's type: the rest may quote what was sent.
      const fields = { from: entry.namespace, broker: text(entry.log['broker']), error: text(entry.log['error']), retry: number(entry.log['retryCount']) }
      if (entry.level === logLevel.ERROR) log.warn('kafka.trouble', fields)
    },
  })
}

function saslOf({ sasl }: KafkaSettings): Pick<KafkaConfig, 'sasl'> {
  if (sasl === undefined) return {}
  const { mechanism, password, username } = sasl
  // Written out: kafkajs has a type for each mechanism, and none for "one of them".
  switch (mechanism) {
    case 'plain':
      return { sasl: { mechanism, username, password } }
    case 'scram-sha-256':
      return { sasl: { mechanism, username, password } }
    case 'scram-sha-512':
      return { sasl: { mechanism, username, password } }
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, 200) : undefined
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
