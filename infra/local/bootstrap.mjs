// Runs on whatever Node the machine has (20 or newer) and needs no package: installs the packages when they are missing
// or not those of package-lock.json, then goes on under the project's own Node 24.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/**
 * Runs a file of the repository under Node 24 with this terminal and environment, and ends this process as that one ended.
 * @param {string} entry path from the repository's root
 * @param {readonly string[]} args
 * @returns {Promise<never>}
 */
export async function runOnNode24(entry, args) {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) fail(`Node ${process.versions.node} is too old. Install Node 20 or newer (https://nodejs.org), then run this again.`)
  if (!packagesMatch()) await install()
  const node = join(root, 'node_modules/.bin/node')
  if (!existsSync(node)) fail('node_modules/.bin/node is missing: the package "node" did not install its binary. Run `npm rebuild node`, then this again.')
  // The machine's Node may not know type stripping's flags and the like; what it was started with stays with it.
  const child = spawn(node, [join(root, entry), ...args], { stdio: 'inherit' })
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => child.kill(signal))
  return new Promise((_, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)))
  })
}

/** Whether node_modules holds the versions of package-lock.json. Times alone mislead: git touches files that did not change. */
function packagesMatch() {
  const wantedFile = join(root, 'package-lock.json')
  const thereFile = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(thereFile)) return false
  if (statSync(thereFile).mtimeMs >= statSync(wantedFile).mtimeMs) return true
  const wanted = JSON.parse(readFileSync(wantedFile, 'utf8')).packages
  const there = JSON.parse(readFileSync(thereFile, 'utf8')).packages
  return Object.entries(wanted).every(([path, entry]) => path === '' || (entry.optional === true && !(path in there)) || there[path]?.version === entry.version)
}

/** `npm ci`, quiet unless it fails. */
async function install() {
  const started = Date.now()
  const elapsed = () => `${((Date.now() - started) / 1000).toFixed(0)} s`
  const terminal = process.stderr.isTTY
  const ticker = terminal ? setInterval(() => process.stderr.write(`\r  installing packages (npm ci), ${elapsed()} `), 500) : undefined
  if (!terminal) process.stderr.write('  installing packages (npm ci)\n')
  const npm = process.env['npm_execpath']?.endsWith('.js') ? [process.execPath, process.env['npm_execpath']] : ['npm']
  const output = /** @type {string[]} */ ([])
  const code = await new Promise((settle) => {
    const child = spawn(npm[0] ?? 'npm', [...npm.slice(1), 'ci', '--no-audit', '--no-fund', '--no-progress'], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(String(chunk)))
    child.once('error', (error) => settle(error.message))
    child.once('exit', settle)
  })
  clearInterval(ticker)
  if (terminal) process.stderr.write('\r\u001B[K')
  if (code !== 0)
    fail(
      `npm ci failed (${code}). Check the network and the registry of \`npm config get registry\`, then run this again. It said:\n${output.join('').trim().split('\n').slice(-15).join('\n')}`,
    )
  process.stderr.write(`  packages installed in ${elapsed()}\n`)
}

/** @param {string} message @returns {never} */
function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
