/** A stack for the whole `real` suite: its own home, free ports, no seed. The tests reach it through `openStack()`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import type { StackInfo } from '../../infra/local/stack-info.ts'
import { startStack } from '../../infra/local/stack.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    stack: StackInfo
    /** The folder with its data and logs. */
    home: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Inside the checkout, so that the servers' own user can reach it as it reaches a real one.
  const home = await mkdtemp(join(resolve('.'), '.afluente-test-'))
  const stack = await startStack({ home, ports: 'free', demo: false, log: (line) => console.log(`  ${line}`) }).catch(async (error: unknown) => {
    await rm(home, { recursive: true, force: true })
    throw error
  })
  project.provide('stack', stack.info)
  project.provide('home', home)
  return async () => {
    await stack.stop()
    await rm(home, { recursive: true, force: true })
  }
}
