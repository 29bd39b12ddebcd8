/** kafkajs's errors → what the caller does about them. By name, type and code, never by message. */
import { AfluenteError, isAfluenteError } from '../../engine/errors.ts'

const MENDING: Readonly<Record<string, string>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'The topic does not exist: create it as shared/pipeline.ts defines it.',
  INVALID_TOPIC_EXCEPTION: 'Kafka takes no topic of that name: rename it in afluente.capture_table(…, topic).',
  TOPIC_AUTHORIZATION_FAILED: 'KAFKA_USERNAME may not use the topic: allow it to write and describe it.',
  GROUP_AUTHORIZATION_FAILED: 'KAFKA_USERNAME may not use the consumer group: allow it to read it.',
  CLUSTER_AUTHORIZATION_FAILED: 'KAFKA_USERNAME may not write idempotently: allow it IdempotentWrite on the cluster.',
  SASL_AUTHENTICATION_FAILED: 'The broker refused KAFKA_USERNAME and KAFKA_PASSWORD.',
  UNSUPPORTED_SASL_MECHANISM: 'The broker does not take KAFKA_SASL_MECHANISM.',
  ILLEGAL_SASL_STATE: 'The broker wants another way of signing in: check KAFKA_SASL_MECHANISM and KAFKA_SSL.',
  KafkaJSSASLAuthenticationError: 'The broker refused KAFKA_USERNAME and KAFKA_PASSWORD, or does not take KAFKA_SASL_MECHANISM.',
  DEPTH_ZERO_SELF_SIGNED_CERT: "The broker's certificate is not trusted: give its CA in KAFKA_CA.",
  SELF_SIGNED_CERT_IN_CHAIN: "The broker's certificate is not trusted: give its CA in KAFKA_CA.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "The broker's certificate is not trusted: give its CA in KAFKA_CA.",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "The broker's certificate is not trusted: give its CA in KAFKA_CA.",
  CERT_HAS_EXPIRED: "The broker's certificate has expired: renew it.",
  ERR_TLS_CERT_ALTNAME_INVALID: "The broker's certificate is for another host: use the names in it in KAFKA_BROKERS.",
}

const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])

/** True when the broker refused a request for the size of what it holds. */
export function isTooLarge(error: unknown): boolean {
  return chainOf(error).some((link) => TOO_LARGE.has(link.type))
}

/** True when a topic is not there, or not yet. */
export function isUnknownTopic(error: unknown): boolean {
  return chainOf(error).some((link) => link.type === 'UNKNOWN_TOPIC_OR_PARTITION')
}

/** The fault behind an error of kafkajs; what nobody knows is `unavailable`, since trying again loses nothing. */
export function kafkaFault(error: unknown, doing = 'Kafka'): AfluenteError {
  if (isAfluenteError(error)) return error
  const chain = chainOf(error)
  for (const link of chain) {
    for (const code of [link.type, link.code, link.name]) {
      const mending = MENDING[code]
      if (mending !== undefined) return new AfluenteError('misconfigured', code, `${doing}: ${mending}`, { cause: error })
    }
  }
  if (isTooLarge(error)) return new AfluenteError('refused', 'MESSAGE_TOO_LARGE', `${doing}: larger than the topic takes.`, { cause: error })
  const last = chain.at(-1)
  const code = [last?.type, last?.code, last?.name].find((text) => text !== undefined && text !== '') ?? 'unknown'
  return new AfluenteError('unavailable', code, `${doing}: no broker answers as it should now (${code}).`, { cause: error })
}

interface Link {
  readonly name: string
  readonly type: string
  readonly code: string
}

/** An error and what lies under it: kafkajs wraps the last failure of its own retries, and gathers those of several brokers. */
function chainOf(error: unknown, depth = 0): readonly Link[] {
  if (typeof error !== 'object' || error === null || depth > 5) return []
  const under: readonly unknown[] = 'errors' in error && Array.isArray(error.errors) ? error.errors : []
  const cause = 'cause' in error ? [error.cause] : []
  return [
    { name: textOf(error, 'name'), type: textOf(error, 'type'), code: textOf(error, 'code') },
    ...under.concat(cause).flatMap((link) => chainOf(link, depth + 1)),
  ]
}

function textOf(error: object, name: 'name' | 'type' | 'code'): string {
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' ? value : ''
}
