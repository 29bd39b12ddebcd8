/**
 * SHA-256 in plain, synchronous code: a hash a document is too often for WebCrypto's promises, and Node's crypto is no
 * part of the core. About two microseconds for a short key; `?? 0` is there for the compiler, typed arrays are never empty.
 */

const fraction = (root: number): number => ((root - Math.floor(root)) * 0x1_0000_0000) | 0
const primes = [...Array(312).keys()].filter((n) => n > 1 && ![...Array(n).keys()].some((m) => m > 1 && n % m === 0))
const K = Int32Array.from(primes.slice(0, 64), (prime) => fraction(Math.cbrt(prime)))
const START = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))
const encoder = new TextEncoder()

/** The hash of a text's UTF-8 as eight 32-bit words. */
export function sha256(text: string): Uint32Array {
  const bytes = encoder.encode(text)
  const blocks = (bytes.length + 72) >> 6
  const message = new Int32Array(blocks << 4)
  for (let at = 0; at < bytes.length; at += 1) message[at >> 2] = (message[at >> 2] ?? 0) | ((bytes[at] ?? 0) << (24 - ((at & 3) << 3)))
  message[bytes.length >> 2] = (message[bytes.length >> 2] ?? 0) | (0x80 << (24 - ((bytes.length & 3) << 3)))
  message[message.length - 2] = Math.floor(bytes.length / 0x2000_0000)
  message[message.length - 1] = bytes.length << 3
  const hash = new Int32Array(START)
  const words = new Int32Array(64)
  for (let block = 0; block < blocks; block += 1) compress(hash, words, message, block << 4)
  return new Uint32Array(hash.buffer)
}

export function hexOf(words: Uint32Array): string {
  return Array.from(words, (word) => word.toString(16).padStart(8, '0')).join('')
}

function compress(hash: Int32Array, w: Int32Array, message: Int32Array, at: number): void {
  for (let i = 0; i < 16; i += 1) w[i] = message[at + i] ?? 0
  for (let i = 16; i < 64; i += 1) {
    const x = w[i - 15] ?? 0
    const y = w[i - 2] ?? 0
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    w[i] = ((w[i - 16] ?? 0) + s0 + (w[i - 7] ?? 0) + s1) | 0
  }
  let a = hash[0] ?? 0
  let b = hash[1] ?? 0
  let c = hash[2] ?? 0
  let d = hash[3] ?? 0
  let e = hash[4] ?? 0
  let f = hash[5] ?? 0
  let g = hash[6] ?? 0
  let h = hash[7] ?? 0
  for (let i = 0; i < 64; i += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (K[i] ?? 0) + (w[i] ?? 0)) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  hash[0] = (hash[0] ?? 0) + a
  hash[1] = (hash[1] ?? 0) + b
  hash[2] = (hash[2] ?? 0) + c
  hash[3] = (hash[3] ?? 0) + d
  hash[4] = (hash[4] ?? 0) + e
  hash[5] = (hash[5] ?? 0) + f
  hash[6] = (hash[6] ?? 0) + g
  hash[7] = (hash[7] ?? 0) + h
}
