/** A certificate authority for one test run, and a server certificate it has signed. Made with Java's own keytool, since Java is there for Kafka anyway. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findJava } from '../../infra/local/java.ts'

const run = promisify(execFile)

export interface Certificates {
  /** PEM. */
  readonly ca: string
  /** PKCS12 with the server's key and its chain. */
  readonly keystore: string
  readonly password: string
}

/** Writes into `folder`. The server's certificate is for 127.0.0.1 and localhost. */
export async function makeCertificates(folder: string, password: string): Promise<Certificates> {
  const java = await findJava(process.env)
  const keytool = (...args: readonly string[]) =>
    run(java, ['-XX:TieredStopAtLevel=1', '-m', 'java.base/sun.security.tools.keytool.Main', ...args, '-storepass', password])
  const file = (name: string) => join(folder, name)
  const pair = (alias: string, keystore: string, ...more: readonly string[]) =>
    keytool(
      '-genkeypair',
      '-alias',
      alias,
      '-dname',
      `CN=${alias}`,
      '-keyalg',
      'RSA',
      '-keysize',
      '2048',
      '-validity',
      '2',
      '-keystore',
      keystore,
      '-storetype',
      'PKCS12',
      ...more,
    )
  const [authority, keystore] = [file('ca.p12'), file('server.p12')]
  await Promise.all([pair('ca', authority, '-ext', 'bc:c=ca:true'), pair('server', keystore)])
  await Promise.all([
    keytool('-exportcert', '-rfc', '-alias', 'ca', '-keystore', authority, '-file', file('ca.pem')),
    keytool('-certreq', '-alias', 'server', '-keystore', keystore, '-file', file('server.csr')),
  ])
  await keytool(
    '-gencert',
    '-rfc',
    '-alias',
    'ca',
    '-keystore',
    authority,
    '-infile',
    file('server.csr'),
    '-outfile',
    file('server.pem'),
    '-validity',
    '2',
    '-ext',
    'san=ip:127.0.0.1,dns:localhost',
  )
  await keytool('-importcert', '-noprompt', '-alias', 'ca', '-keystore', keystore, '-file', file('ca.pem'))
  await keytool('-importcert', '-noprompt', '-alias', 'server', '-keystore', keystore, '-file', file('server.pem'))
  return { ca: await readFile(file('ca.pem'), 'utf8'), keystore, password }
}
