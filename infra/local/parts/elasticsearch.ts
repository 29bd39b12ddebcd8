import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Fault } from '../fault.ts'
import { repository } from '../home.ts'
import { ensureJars, type JarsDeps } from '../jars.ts'
import { compile, findJava, jvmFlags } from '../java.ts'
import type { Recipe } from '../part.ts'
import { assertFree } from '../ports.ts'

const run = promisify(execFile)
const sources = join(repository, 'infra/elasticsearch')
export const elasticsearchVersion = '8.19.21'

export interface ElasticsearchOptions {
  readonly data: string
  readonly port: number
  readonly jars: JarsDeps
  readonly env: NodeJS.ProcessEnv
}

/** A single node without security, on 127.0.0.1. What it lacks of a full distribution stands in infra/elasticsearch/README.md. */
export function elasticsearchRecipe(options: ElasticsearchOptions): Recipe {
  const url = `http://127.0.0.1:${options.port}`
  return {
    name: 'elasticsearch',
    before: async () => {
      await assertFree('elasticsearch', options.port)
      mkdirSync(options.data, { recursive: true })
    },
    command: async () => {
      const java = await findJava(options.env)
      const home = await elasticsearchJars(java, options)
      const properties = [`-Des.home=${home}`, `-Des.state=${options.data}`, `-Des.port=${options.port}`]
      return {
        file: java,
        args: ['-Xms256m', '-Xmx512m', ...jvmFlags, ...properties, '-cp', classPath(home), 'LocalNode'],
        env: options.env,
        cwd: options.data,
      }
    },
    ready: async () => {
      const root = await fetch(url, { signal: AbortSignal.timeout(2_000) })
      const health = await fetch(`${url}/_cluster/health?wait_for_status=yellow&timeout=1s`, { signal: AbortSignal.timeout(2_000) })
      await Promise.all([root.arrayBuffer(), health.arrayBuffer()])
      return root.headers.get('x-elastic-product') === 'Elasticsearch' && health.ok
    },
    readyWithinMs: 90_000,
    stopSignal: 'SIGTERM',
    stopWithinMs: 12_000,
    explain: (log) =>
      /cannot downgrade|failed to read|CorruptStateException|IndexFormatToo/.test(log)
        ? new Fault(`Elasticsearch can't read its data under ${options.data}`, 'Run `npm run reset` to start anew')
        : /is locked|failed to obtain node lock/.test(log)
          ? new Fault(`Another Elasticsearch holds ${options.data}`, 'Run `npm stop`, then start again')
          : undefined,
  }
}

function classPath(folder: string): string {
  return `${join(folder, 'lib/*')}:${join(folder, 'classes')}`
}

function elasticsearchJars(java: string, options: ElasticsearchOptions): Promise<string> {
  const launcher = join(sources, 'LocalNode.java')
  const finish = async (folder: string): Promise<void> => {
    const lib = join(folder, 'lib')
    const jars = readdirSync(lib).filter((name) => name.endsWith('.jar'))
    await compile(
      java,
      launcher,
      jars.map((name) => join(lib, name)),
      join(folder, 'classes'),
      options.env,
    )
    await run(java, [`-Des.home=${folder}`, '-cp', classPath(folder), 'LocalNode', 'prepare'], { env: options.env })
  }
  return ensureJars({ name: 'elasticsearch', version: elasticsearchVersion, pom: join(sources, 'pom.xml'), sources: [launcher], finish }, options.jars)
}
