// `npm run chaos`: kills and cuts parts of its own stack while it writes, then audits; from a fresh clone as well.
import { runOnNode24 } from '../../infra/local/bootstrap.mjs'

await runOnNode24('test/chaos/main.ts', process.argv.slice(2))
