// `npm start`, `npm stop`, `npm run reset`: the local stack, from a fresh clone as well.
import { runOnNode24 } from './bootstrap.mjs'

await runOnNode24('infra/local/cli.ts', process.argv.slice(2))
