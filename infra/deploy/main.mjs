// `npm run deploy`: tables, topics and indices of the definition, from a fresh clone as well.
import { runOnNode24 } from '../local/bootstrap.mjs'

await runOnNode24('infra/deploy/main.ts', process.argv.slice(2))
