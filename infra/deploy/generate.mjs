// `npm run generate`: the SQL that follows from the definition, from a fresh clone as well.
import { runOnNode24 } from '../local/bootstrap.mjs'

await runOnNode24('infra/deploy/generate.ts', process.argv.slice(2))
