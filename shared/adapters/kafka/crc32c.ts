/** CRC-32C (Castagnoli), as Kafka's record batches carry it. Sixteen bytes a step, read four at a time. */

const POLYNOMIAL = 0x82f63b78
const STEP = 16
/** A table of 256 for each byte of a step in one array: table n serves the byte that n others follow. */
const TABLE = tables()

/** The checksum of `bytes[from..to)`, as an unsigned number. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const look = (index: number): number => TABLE[index] ?? 0
  /** Four bytes, of which the first has `after` tables behind it. */
  const four = (word: number, after: number): number =>
    look((after << 8) + (word & 0xff)) ^
    look(((after - 1) << 8) + ((word >>> 8) & 0xff)) ^
    look(((after - 2) << 8) + ((word >>> 16) & 0xff)) ^
    look(((after - 3) << 8) + (word >>> 24))
  let crc = -1
  let index = from
  for (const end = to - STEP + 1; index < end; index += STEP) {
    crc =
      four(crc ^ view.getInt32(index, true), 15) ^
      four(view.getInt32(index + 4, true), 11) ^
      four(view.getInt32(index + 8, true), 7) ^
      four(view.getInt32(index + 12, true), 3)
  }
  for (; index < to; index += 1) crc = look((crc ^ view.getUint8(index)) & 0xff) ^ (crc >>> 8)
  return ~crc >>> 0
}

function tables(): Int32Array {
  const table = new Int32Array(STEP * 256)
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    table[byte] = crc
  }
  for (let index = 256; index < table.length; index += 1) {
    const before = table[index - 256] ?? 0
    table[index] = (table[before & 0xff] ?? 0) ^ (before >>> 8)
  }
  return table
}
