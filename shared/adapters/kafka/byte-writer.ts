/** Bytes in Kafka's encoding, written into one growing buffer. */

const encoder = new TextEncoder()

export class ByteWriter {
  bytes: Uint8Array
  at = 0

  /** Writes into `storage` as long as it has room. */
  constructor(storage: Uint8Array) {
    this.bytes = storage
  }

  /** Makes room for so many bytes more. The other methods but `text` don't look. */
  reserve(size: number): void {
    if (this.at + size <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + size))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
  }

  int8(value: number): void {
    this.bytes[this.at++] = value
  }

  int16(value: number): void {
    this.int8(value >>> 8)
    this.int8(value)
  }

  int32(value: number): void {
    this.int32At(this.at, value)
    this.at += 4
  }

  int32At(at: number, value: number): void {
    const { bytes } = this
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
  }

  /** A whole number below 2^53, as 64 bits. */
  int64(value: number): void {
    this.int32(Math.floor(value / 0x1_0000_0000))
    this.int32(value >>> 0)
  }

  /** Zigzag varint of a number from 0 to 2^31-1. */
  varint(value: number): void {
    let rest = value * 2
    while (rest > 0x7f) {
      this.int8((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    this.int8(rest)
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  /** Varint of the length in bytes, then the text in UTF-8. */
  text(text: string): void {
    const { length } = text
    this.reserve(3 * length + 5)
    if (length < 64) {
      const { bytes } = this
      const begin = this.at + 1
      let index = 0
      for (; index < length; index += 1) {
        const unit = text.charCodeAt(index)
        if (unit > 0x7f) break
        bytes[begin + index] = unit
      }
      if (index === length) {
        bytes[this.at] = length * 2
        this.at = begin + length
        return
      }
    }
    // Room for the length as it is when all is ASCII; the text moves when it turns out longer.
    const begin = this.at
    const guess = widthOf(length)
    const { written } = encoder.encodeInto(text, this.bytes.subarray(begin + guess))
    const width = widthOf(written)
    if (width !== guess) this.bytes.copyWithin(begin + width, begin + guess, begin + guess + written)
    this.varint(written)
    this.at = begin + width + written
  }
}

/** How many bytes the varint of a number takes. */
export function widthOf(value: number): number {
  if (value < 64) return 1
  if (value < 8_192) return 2
  if (value < 1_048_576) return 3
  return value < 134_217_728 ? 4 : 5
}
