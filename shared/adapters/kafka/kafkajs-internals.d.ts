/** What is used of kafkajs beyond its published types: its table of Produce requests. The version is pinned; a test compares what comes out. */
declare module 'kafkajs/src/protocol/requests/produce/index.js' {
  const produce: unknown
  export default produce
}
