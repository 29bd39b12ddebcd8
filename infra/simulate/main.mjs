// `npm run simulate`: writes realistic changes into the running stack's source, from a fresh clone as well.
import { runOnNode24 } from '../local/bootstrap.mjs'

await runOnNode24('infra/simulate/cli.ts', process.argv.slice(2))
