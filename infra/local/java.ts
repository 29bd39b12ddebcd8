import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Fault } from './fault.ts'

const run = promisify(execFile)

const install = 'Install a JDK of version 17 or newer (Debian: apt install openjdk-17-jdk-headless; macOS: brew install openjdk@17) and set JAVA_HOME or PATH'

/**
 * The `java` to use: JAVA_HOME's, else the one on the PATH.
 * @throws Fault when there is none or it is older than 17.
 */
export async function findJava(env: NodeJS.ProcessEnv): Promise<string> {
  const home = env['JAVA_HOME']
  const java = home !== undefined && existsSync(join(home, 'bin/java')) ? join(home, 'bin/java') : 'java'
  let text: string
  try {
    const { stdout, stderr } = await run(java, ['-version'], { env })
    text = stderr + stdout
  } catch (error) {
    throw new Fault('Java is not installed; Kafka and Elasticsearch need it', install, { cause: error })
  }
  const major = javaMajor(text)
  if (major < 17) throw new Fault(`Java ${major} is too old; Kafka and Elasticsearch need 17`, install)
  return java
}

/** `openjdk version "17.0.15"` is 17, `java version "1.8.0_392"` is 8, what can't be read is 0. */
export function javaMajor(text: string): number {
  const match = /version "(?:1\.)?(\d+)/.exec(text)
  return match === null ? 0 : Number(match[1])
}

/** Flags for both servers. */
export const jvmFlags: readonly string[] = ['-XX:+ExitOnOutOfMemoryError', '-Djava.awt.headless=true']

/** Without the slow compiler, whose threads take half of the CPU of a start. For servers whose work its code does not make cheaper. */
export const quickCompiler = '-XX:TieredStopAtLevel=1'

/**
 * Compiles one source file against the jars.
 * @throws Fault when this Java has no compiler (a JRE).
 */
export async function compile(java: string, source: string, jars: readonly string[], to: string, env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await run(java, ['-m', 'jdk.compiler/com.sun.tools.javac.Main', '--release', '17', '-proc:none', '-nowarn', '-cp', jars.join(':'), '-d', to, source], {
      env,
    })
  } catch (error) {
    if (error instanceof Error && /jdk\.compiler/.test(error.message)) throw new Fault('This Java has no compiler (it is a JRE)', install, { cause: error })
    throw error
  }
}
