/** What a promise rests on, with a sabotage of one line and the tests that must notice it. */
export interface Guard {
  /** What is promised. */
  readonly name: string
  readonly file: string
  /** Stands in the file once. */
  readonly line: string
  readonly sabotage: string
  /** The project of vitest.config.ts, then the files. */
  readonly tests: readonly [project: string, ...files: string[]]
}
