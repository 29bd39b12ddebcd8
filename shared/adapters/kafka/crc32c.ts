/** CRC-32C (Castagnoli), as Kafka's record batches carry it. Eight bytes a step. */

const POLYNOMIAL = 0x82f63b78
/** Eight tables of 256 in one array: table n serves the byte that n others follow. */
const TABLE = tables()

/** The checksum of `bytes[from..to)`, as an unsigned number. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  const table = TABLE
  const at = (index: number): number => bytes[index] ?? 0
  const look = (index: number): number => table[index] ?? 0
  let crc = -1
  let index = from
  for (const end = to - 7; index < end; index += 8) {
    crc ^= at(index) | (at(index + 1) << 8) | (at(index + 2) << 16) | (at(index + 3) << 24)
    crc =
      look(1_792 + (crc & 0xff)) ^
      look(1_536 + ((crc >>> 8) & 0xff)) ^
      look(1_280 + ((crc >>> 16) & 0xff)) ^
      look(1_024 + (crc >>> 24)) ^
      look(768 + at(index + 4)) ^
      look(512 + at(index + 5)) ^
      look(256 + at(index + 6)) ^
      look(at(index + 7))
  }
  for (; index < to; index += 1) crc = look((crc ^ at(index)) & 0xff) ^ (crc >>> 8)
  return ~crc >>> 0
}

function tables(): Int32Array {
  const table = new Int32Array(2_048)
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    table[byte] = crc
  }
  for (let index = 256; index < 2_048; index += 1) {
    const before = table[index - 256] ?? 0
    table[index] = (table[before & 0xff] ?? 0) ^ (before >>> 8)
  }
  return table
}
