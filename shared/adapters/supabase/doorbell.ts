/** Rings capture as the database webhook does. A ring carries nothing; it may be lost or doubled. */
import { AfluenteError } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'

export interface DoorbellSettings {
  readonly supabaseUrl: string
  readonly webhookSecret: string
}

/** Resolves when capture has said that it heard. Errors: `unavailable`, `misconfigured`. */
export function createDoorbell({ supabaseUrl, webhookSecret }: DoorbellSettings): (options: Cancellable) => Promise<void> {
  const url = `${supabaseUrl}/functions/v1/capture`
  return async ({ signal }) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${webhookSecret}`, 'content-type': 'application/json' },
      body: '{}',
      signal,
    }).catch((cause: unknown) => {
      throw new AfluenteError('unavailable', 'fetch', 'Capture can not be reached. Check SUPABASE_URL, and that the Edge Function is deployed.', { cause })
    })
    await response.body?.cancel()
    if (response.ok) return
    if (response.status === 401)
      throw new AfluenteError('misconfigured', '401', 'Capture refuses the secret: AFLUENTE_WEBHOOK_SECRET differs between the Worker and the Edge Function.')
    if (response.status === 404) throw new AfluenteError('misconfigured', '404', 'There is no Edge Function named capture at SUPABASE_URL. Deploy it.')
    throw new AfluenteError('unavailable', String(response.status), `Capture answered ${response.status}.`)
  }
}

/** Resolves when the Edge Function answers and its environment is sound; rings nothing. It takes POST alone, so a living one answers 405. Errors: `unavailable`, `misconfigured`. */
export function createCaptureProbe({ supabaseUrl }: Pick<DoorbellSettings, 'supabaseUrl'>): (options: Cancellable) => Promise<void> {
  return async ({ signal }) => {
    const response = await fetch(`${supabaseUrl}/functions/v1/capture`, { method: 'GET', signal }).catch((cause: unknown) => {
      throw new AfluenteError('unavailable', 'fetch', 'Capture can not be reached. Check SUPABASE_URL, and that the Edge Function is deployed.', { cause })
    })
    await response.body?.cancel()
    if (response.status === 405) return
    if (response.status === 404) throw new AfluenteError('misconfigured', '404', 'There is no Edge Function named capture at SUPABASE_URL. Deploy it.')
    throw new AfluenteError(
      'unavailable',
      String(response.status),
      `Capture answered ${response.status}. Its own log says what is wrong; 503 means its environment.`,
    )
  }
}
