/** The text from which Postgres makes a row of silver. */
import { membersOf } from '../events/json-text.ts'

/**
 * The image as Postgres' JSON functions can read it. They unescape every string they pass, so a `json` column that holds
 * `\u0000` or half a surrogate pair, which is good json, would be refused: the values of such columns are wrapped into strings,
 * whose text the statement casts back. Without `json` columns the image stays as it is; so does one that is no JSON object.
 */
export function readableImage(image: string, rawColumns: readonly string[]): string {
  if (rawColumns.length === 0) return image
  const members = membersOf(image)
  if (members === null) return image
  const texts = [...members].map(([name, value]) => `${JSON.stringify(name)}:${rawColumns.includes(name) && value !== 'null' ? JSON.stringify(value) : value}`)
  return `{${texts.join(',')}}`
}
