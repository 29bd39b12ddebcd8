/** What is used of kafkajs beyond its published types. The version is pinned; tests compare what comes out. Its table of Produce requests. */
declare module 'kafkajs/src/protocol/requests/produce/index.js' {
  const produce: unknown
  export default produce
}

/** How the newest Fetch answer is decoded. */
declare module 'kafkajs/src/protocol/requests/fetch/v11/response.js' {
  const answer: unknown
  export default answer
}

/** The requests of one connection. */
declare module 'kafkajs/src/network/requestQueue/index.js' {
  const RequestQueue: unknown
  export default RequestQueue
}

/** What puts a request together. */
declare module 'kafkajs/src/protocol/encoder.js' {
  const Encoder: unknown
  export default Encoder
}
