/**
 * The deploy step of the data side: analytics tables, topics and indices from `shared/pipeline.ts`, after the source has been
 * compared with it. Reads the environment, and .env where there is one. Functions are deployed after it.
 *
 *   node infra/deploy/main.ts        exit 0 ready, 1 a fault
 */
import { existsSync } from 'node:fs'
import { kafkaSettings } from '../../shared/config.ts'
import { isAfluenteError } from '../../shared/engine/errors.ts'
import { pipeline } from '../../shared/pipeline.ts'
import { prepare } from './prepare.ts'

if (existsSync('.env')) process.loadEnvFile('.env')
const given = (name: string): string | undefined => (process.env[name] === '' ? undefined : process.env[name])

try {
  const analyticsUrl = given('ANALYTICS_DATABASE_URL')
  const faults = analyticsUrl === undefined ? ['ANALYTICS_DATABASE_URL: missing. It is the connection string of the analytics database.'] : []
  const kafka = collected(faults, () => kafkaSettings(process.env))
  if (analyticsUrl === undefined || kafka === undefined) {
    console.error(faults.join('\n'))
    process.exitCode = 1
  } else {
    const elasticsearchUrl = given('ELASTICSEARCH_URL')
    await prepare({
      pipeline,
      analyticsUrl,
      kafka,
      elasticsearch: elasticsearchUrl === undefined ? undefined : { url: elasticsearchUrl, apiKey: given('ELASTICSEARCH_API_KEY') },
      sourceUrl: given('SOURCE_DATABASE_URL'),
      onStep: (text) => console.log(text),
    })
  }
} catch (error) {
  if (!isAfluenteError(error)) throw error
  console.error(error.message)
  process.exitCode = 1
}

/** Keeps a fault for the list instead of stopping at it. */
function collected<T>(faults: string[], read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!isAfluenteError(error)) throw error
    faults.push(error.message)
    return undefined
  }
}
