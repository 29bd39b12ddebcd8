import type { Evidence } from '../evidence.ts'
import { judgeEpochs } from './epochs.ts'
import type { Finding } from './finding.ts'
import { judgeHistory } from './history.ts'
import { judgeApplied, judgeCounters, judgeTopics } from './logs.ts'
import { judgeSinks } from './sinks.ts'

/** Everything that is wrong; nothing when every promise was kept. Pure. */
export function judge(evidence: Evidence): readonly Finding[] {
  return [judgeHistory, judgeTopics, judgeSinks, judgeApplied, judgeCounters, judgeEpochs].flatMap((part) => part(evidence))
}
