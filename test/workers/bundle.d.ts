/** The bundle of functions/worker.ts. */
declare module 'afluente-worker' {
  import worker from '../../functions/worker.ts'

  export default worker
}
