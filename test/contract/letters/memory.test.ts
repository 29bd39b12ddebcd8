import { memoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryControl } from '../../../shared/adapters/memory/control.ts'
import { memoryLetters } from '../../../shared/adapters/memory/letters.ts'
import { memoryRedrives } from '../../../shared/adapters/memory/redrives.ts'
import { lettersContract } from './suite.ts'

lettersContract('memory', {
  make: async () => {
    const deps = { analytics: memoryAnalytics(), clock: memoryClock() }
    const subject = { letters: memoryLetters(deps), redrives: memoryRedrives(deps), control: memoryControl(deps), audit: async () => deps.analytics.audit }
    return { subject, close: async () => {} }
  },
})
