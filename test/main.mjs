// `npm test` and `npm run check`: installs what is missing, then goes on under the project's own Node.
import { runOnNode24 } from '../infra/local/bootstrap.mjs'

await runOnNode24('test/run.ts', process.argv.slice(2))
