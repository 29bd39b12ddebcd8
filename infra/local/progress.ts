/** What happens while the stack starts and stops. `key` is a part or a step; a later line with the same key takes its place. */
export interface Progress {
  readonly key: string
  readonly text: string
  /** Running lines move on a terminal and are left out elsewhere; `gone` takes one away without a word. */
  readonly state: 'running' | 'done' | 'failed' | 'note' | 'gone'
}

export type Report = (progress: Progress) => void

/** 3.14159 s as "3.1 s". */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
