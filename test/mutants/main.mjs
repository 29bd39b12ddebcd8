// `npm run mutants`: each guard taken out, one at a time; some test must fail. From a fresh clone as well.
import { runOnNode24 } from '../../infra/local/bootstrap.mjs'

await runOnNode24('test/mutants/main.ts', process.argv.slice(2))
