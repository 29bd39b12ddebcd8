import { memoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryControl } from '../../../shared/adapters/memory/control.ts'
import { controlContract } from './suite.ts'

controlContract('memory', {
  make: async () => {
    const analytics = memoryAnalytics()
    return {
      subject: {
        control: memoryControl({ analytics, clock: memoryClock() }),
        letters: async (consumer) =>
          [...analytics.letters.values()]
            .filter((letter) => letter.consumer === consumer)
            .map(({ record, code, attempts }) => ({ offset: record.offset, code, attempts })),
      },
      close: async () => {},
    }
  },
})
