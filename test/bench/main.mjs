// `npm run bench`: measurements of the real stack, from a fresh clone as well.
import { runOnNode24 } from '../../infra/local/bootstrap.mjs'

await runOnNode24('test/bench/main.ts', process.argv.slice(2))
