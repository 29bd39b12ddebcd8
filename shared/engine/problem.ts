/** RFC 9457: what an HTTP caller is told when something is wrong. */

export interface Problem {
  readonly status: number
  /** Stable: the end of the problem's type, `urn:afluente:problem:<slug>`. */
  readonly slug: string
  /** The same words for every occurrence of this problem. */
  readonly title: string
  /** What is wrong here, and what to do next. Never a secret, a row's value or a stack trace. */
  readonly detail: string
  /** Further members, such as lists of faults. */
  readonly more?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/** The answer `application/problem+json` for a problem. */
export function problemResponse({ status, slug, title, detail, more = {}, headers = {} }: Problem): Response {
  return Response.json(
    { ...more, type: `urn:afluente:problem:${slug}`, title, status, detail },
    { status, headers: { ...headers, 'content-type': 'application/problem+json', 'cache-control': 'no-store' } },
  )
}
