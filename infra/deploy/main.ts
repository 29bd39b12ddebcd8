/**
 * The deploy step of the data side: analytics tables, topics and indices from `shared/pipeline.ts`, after the source has been
 * compared with it. Reads the environment, and .env where there is one. Functions are deployed after it.
 *
 *   npm run deploy        exit 0 ready, 1 a fault
 */
import { existsSync } from 'node:fs'
import { deploySettings } from '../../shared/config.ts'
import { demandsOf } from '../../shared/engine/definition-faults.ts'
import { isAfluenteError } from '../../shared/engine/errors.ts'
import { pipeline } from '../../shared/pipeline.ts'
import { checkEtl } from './check-etl.ts'
import { prepare } from './prepare.ts'
import { scheduleLines } from './schedules.ts'

if (existsSync('.env')) process.loadEnvFile('.env')

try {
  const settings = deploySettings(process.env, demandsOf(pipeline))
  for (const line of await checkEtl({ pipeline, chatwootUrl: settings.chatwootUrl, signal: new AbortController().signal })) console.log(line)
  await prepare({ pipeline, ...settings, onStep: (text) => console.log(text) })
  for (const line of scheduleLines(pipeline, Date.now())) console.log(line)
  if (settings.sourceUrl === undefined) console.log('source database: not compared with the definition; SOURCE_DATABASE_URL is not set')
} catch (error) {
  if (!isAfluenteError(error)) throw error
  console.error(error.message)
  process.exitCode = 1
}
