/** Publishes one message with the environment's settings, as capture's wiring does. Arguments: topic, key. */
import process from 'node:process'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { kafkaPublisher } from '../../../shared/adapters/kafka/publisher.ts'
import { consoleLog } from '../../../shared/adapters/log.ts'
import { kafkaSettings } from '../../../shared/config.ts'

const [topic = '', key = ''] = process.argv.slice(2)
const publisher = kafkaPublisher({ kafka: kafkaClient(kafkaSettings(process.env), { clientId: 'test-deno', log: consoleLog() }) })
await publisher.publish([{ topic, key, value: '{}', headers: { ce_id: key } }], { signal: AbortSignal.timeout(20_000) })
await publisher.close()
