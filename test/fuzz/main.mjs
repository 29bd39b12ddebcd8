// `npm run fuzz`: random schemas and statements against the capture, from a fresh clone as well.
import { runOnNode24 } from '../../infra/local/bootstrap.mjs'

await runOnNode24('test/fuzz/main.ts', process.argv.slice(2))
