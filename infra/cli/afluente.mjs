#!/usr/bin/env node
// `npx afluente`: the operator's command line, from a fresh clone as well.
import { runOnNode24 } from '../local/bootstrap.mjs'

await runOnNode24('infra/cli/main.ts', process.argv.slice(2))
