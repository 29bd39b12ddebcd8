/** A Kafka that wants passwords, with and without TLS, beside the plain listener that tests look through. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { cacheDirectory } from '../../infra/local/home.ts'
import { createPart } from '../../infra/local/part.ts'
import { kafkaRecipe } from '../../infra/local/parts/kafka.ts'
import { choosePorts } from '../../infra/local/ports.ts'
import { makeCertificates } from './certificates.ts'

export interface SecureKafka {
  /** No password, no TLS: for the test's own eyes. */
  readonly plain: string
  /** Password, no TLS: SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN. */
  readonly sasl: string
  /** Password and TLS under a CA that nobody else knows. */
  readonly saslTls: string
  readonly username: string
  readonly password: string
  /** PEM. */
  readonly ca: string
  stop(): Promise<void>
}

export async function startSecureKafka(): Promise<SecureKafka> {
  const folder = await mkdtemp(join(resolve('.'), '.afluente-test-'))
  const { kafka: port, kafkaController: controllerPort, worker: saslPort, edge: tlsPort } = await choosePorts('free')
  const [username, password] = ['afluente', randomBytes(12).toString('hex')]
  const certificates = await makeCertificates(folder, randomBytes(12).toString('hex'))
  const listeners = [
    `PLAINTEXT://127.0.0.1:${port}`,
    `SASL://127.0.0.1:${saslPort}`,
    `SECURE://127.0.0.1:${tlsPort}`,
    `CONTROLLER://127.0.0.1:${controllerPort}`,
  ].join(',')
  const secured = (listener: string) => ({
    [`listener.name.${listener}.sasl.enabled.mechanisms`]: 'SCRAM-SHA-256,SCRAM-SHA-512,PLAIN',
    [`listener.name.${listener}.scram-sha-256.sasl.jaas.config`]: 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    [`listener.name.${listener}.scram-sha-512.sasl.jaas.config`]: 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    [`listener.name.${listener}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`,
  })
  const part = createPart(
    kafkaRecipe({
      data: join(folder, 'kafka'),
      port,
      controllerPort,
      env: process.env,
      jars: { cache: cacheDirectory(process.env), env: process.env, report: () => {}, now: () => performance.now(), signal: new AbortController().signal },
      properties: {
        listeners,
        'advertised.listeners': listeners,
        'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,SECURE:SASL_SSL',
        ...secured('sasl'),
        ...secured('secure'),
        'listener.name.secure.ssl.keystore.type': 'PKCS12',
        'listener.name.secure.ssl.keystore.location': certificates.keystore,
        'listener.name.secure.ssl.keystore.password': certificates.password,
        'listener.name.secure.ssl.key.password': certificates.password,
      },
      formatArgs: ['256', '512'].flatMap((bits) => ['--add-scram', `SCRAM-SHA-${bits}=[name=${username},password=${password}]`]),
    }),
    { logFile: join(folder, 'kafka.log') },
  )
  const stop = async () => {
    await part.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await part.start()
  } catch (error) {
    await stop()
    throw error
  }
  return { plain: `127.0.0.1:${port}`, sasl: `127.0.0.1:${saslPort}`, saslTls: `127.0.0.1:${tlsPort}`, username, password, ca: certificates.ca, stop }
}
