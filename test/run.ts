/**
 * Everything CI runs, one step after the other, with progress and a closing line `N passed, N failed`.
 * A step that ran no test, or skipped one, has failed: silence is no proof.
 *
 *   npm test                 all of it
 *   npm test -- unit edge    the named steps
 *   npm run check            the gates alone
 */
import type { Counts } from './report.ts'
import { steps } from './steps.ts'

const wanted = process.argv.slice(2)
const names = steps.map((step) => step.name)
const unknown = wanted.filter((name) => name !== 'check' && !names.includes(name))
if (unknown.length > 0) {
  console.error(
    `There is no step ${unknown.join(', ')}. Steps: check (${steps
      .filter((step) => step.gate)
      .map((step) => step.name)
      .join(', ')}), ${names.join(', ')}.`,
  )
  process.exit(2)
}

const chosen = steps.filter((step) => wanted.length === 0 || wanted.includes(step.name) || (step.gate && wanted.includes('check')))
const total = { passed: 0, failed: 0 }
const failures: string[] = []
const began = Date.now()
for (const [at, step] of chosen.entries()) {
  console.log(`\n[${at + 1}/${chosen.length}] ${step.name}: ${step.title}`)
  const stepBegan = Date.now()
  const counts: Counts = await step.run()
  total.passed += counts.passed
  total.failed += counts.failed
  if (counts.failed > 0) failures.push(...(counts.failures?.length ? counts.failures : ['its output stands above']).map((line) => `${step.name}: ${line}`))
  console.log(`[${at + 1}/${chosen.length}] ${step.name}: ${counts.passed} passed, ${counts.failed} failed in ${seconds(stepBegan)} s`)
}
// Once more at the end: who reads a long log reads its last lines.
for (const failure of failures) console.log(`\nfailed: ${failure}`)
console.log(`\nall of it in ${seconds(began)} s`)
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1)
}
