/** One JSON object a line on standard error. What the functions themselves write goes to the same two streams, as it is. */
export type Log = (event: string, fields?: Readonly<Record<string, unknown>>) => void

export const log: Log = (event, fields = {}) => {
  console.error(JSON.stringify({ at: new Date().toISOString(), part: 'edge', event, ...fields }))
}
