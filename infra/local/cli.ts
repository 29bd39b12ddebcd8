/** `npm start`, `npm stop`, `npm run reset`. Exit 0 well, 1 a fault that was told, 2 wrong use. */
import { describe } from './fault.ts'
import { homeAt } from './home.ts'
import { readEnvironment, stackSettings } from './settings.ts'
import { reset } from './verbs/reset.ts'
import { startDetached, startForeground, superviseForParent } from './verbs/start.ts'
import { stop } from './verbs/stop.ts'

const usage = 'npm start [-- --detach] [-- --no-demo] · npm stop · npm run reset'
const [verb = 'start', ...flags] = process.argv.slice(2)
const known = ['--detach', '--no-demo', '--supervise-for-parent']
const unknown = flags.filter((flag) => !known.includes(flag))

// The reader of our lines may go away (a closed terminal, `| head`); the stack goes on.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

// kafkajs sets timers in the past (tulios/kafkajs #1704): harmless here, and nobody can do anything about it.
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning') console.error(String(warning.stack))
})

try {
  const env = readEnvironment(process.env)
  const home = homeAt(stackSettings(env).home)
  if (unknown.length > 0) wrongUse(`unknown: ${unknown.join(' ')}`)
  else if (verb === 'start') {
    const demo = !flags.includes('--no-demo')
    const run = flags.includes('--supervise-for-parent') ? superviseForParent : flags.includes('--detach') ? startDetached : startForeground
    process.exitCode = await run({ demo, home, env })
  } else if (verb === 'stop') process.exitCode = await stop(home)
  else if (verb === 'reset') process.exitCode = reset(home)
  else wrongUse(`unknown: ${verb}`)
} catch (error) {
  console.error(`  ✗ ${describe(error)}`)
  process.exitCode = 1
}

function wrongUse(what: string): void {
  console.error(`${what}\n${usage}`)
  process.exitCode = 2
}
