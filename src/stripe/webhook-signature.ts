import { createHmac, timingSafeEqual } from 'node:crypto';
import { type StripeEvent, type ThinNotification } from './types.js';

/** The secrets that are valid now, several of each kind while they are being rotated. Blank ones are ignored. */
export interface WebhookSecrets {
  readonly snapshot: readonly string[];
  readonly thin: readonly string[];
}

/** A delivery that Stripe signed, and its text, of which it is read: both are {@link withoutSecrets without secrets}. */
export type VerifiedWebhook =
  | { readonly kind: 'SNAPSHOT'; readonly event: StripeEvent; readonly text: string }
  | { readonly kind: 'THIN'; readonly notification: ThinNotification; readonly text: string };

/**
 * - `missing`: no header. `malformed`: a header of another shape. `mismatch`: signed with none of our secrets.
 * - `stale`, `future`: authentic, but signed more than 300 s ago or ahead.
 * - `not-json`: authentic, but no event. `wrong-kind`: a thin event under a secret for snapshots, or the reverse.
 */
export type WebhookSignatureReason =
  'missing' | 'malformed' | 'mismatch' | 'stale' | 'future' | 'not-json' | 'wrong-kind';

export class WebhookSignatureError extends Error {
  override readonly name = 'WebhookSignatureError';

  constructor(readonly reason: WebhookSignatureReason) {
    super(`The webhook is refused: ${reason}.`);
  }
}

const toleranceSeconds = 300;

/**
 * Says whether Stripe sent this, and reads it. The SDK's own check takes one secret, and a time in the future; this one tries every
 * current secret, refuses both directions, and costs an HMAC over the raw bytes for each secret that it has to try.
 * @param rawBody the bytes as they arrived
 * @param header `Stripe-Signature`
 * @throws WebhookSignatureError
 * https://docs.stripe.com/webhooks#verify-manually
 */
export function verifyWebhook(
  rawBody: Buffer,
  header: string | undefined,
  secrets: WebhookSecrets,
  now: Date,
): VerifiedWebhook {
  if (!header) throw new WebhookSignatureError('missing');
  const { time, signatures } = parseHeader(header);
  const isSigned = (secret: string) => secret.trim() !== '' && signatures.some(matcher(rawBody, time, secret));
  const isSnapshot = secrets.snapshot.some(isSigned);
  if (!isSnapshot && !secrets.thin.some(isSigned)) throw new WebhookSignatureError('mismatch');

  const age = Math.floor(now.getTime() / 1_000) - Number(time);
  if (age > toleranceSeconds) throw new WebhookSignatureError('stale');
  if (age < -toleranceSeconds) throw new WebhookSignatureError('future');

  const text = withoutSecrets(rawBody.toString('utf8'));
  const body = parseBody(text);
  if (body.object === 'event' && isSnapshot) return { kind: 'SNAPSHOT', event: body as unknown as StripeEvent, text };
  // One secret may stand in both lists: `stripe listen` signs everything with the same one. Each costs an HMAC over the body, and most events end above.
  if (body.object === 'v2.core.event' && (!isSnapshot || secrets.thin.some(isSigned)))
    return { kind: 'THIN', notification: body as unknown as ThinNotification, text };
  throw new WebhookSignatureError('wrong-kind');
}

/** `t=1492774577,v1=5257a8…,v1=…,v0=…`: one time, any number of signatures; schemes other than v1 are none of ours. */
function parseHeader(header: string): { time: string; signatures: Buffer[] } {
  let time = '';
  const signatures: Buffer[] = [];
  for (const part of header.split(',')) {
    const cut = part.indexOf('=');
    const value = part.slice(cut + 1);
    if (part.slice(0, cut) === 't') time = value;
    if (part.slice(0, cut) === 'v1' && /^[0-9a-f]{64}$/.test(value)) signatures.push(Buffer.from(value, 'hex'));
  }
  if (!/^[1-9]\d{0,11}$/.test(time) || signatures.length === 0) throw new WebhookSignatureError('malformed');
  return { time, signatures };
}

function matcher(rawBody: Buffer, time: string, secret: string): (signature: Buffer) => boolean {
  const expected = createHmac('sha256', secret).update(`${time}.`).update(rawBody).digest();
  return (signature) => timingSafeEqual(signature, expected);
}

function parseBody(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new WebhookSignatureError('not-json');
  }
  const { id, type, object } = (body ?? {}) as Record<string, unknown>;
  if (typeof id !== 'string' || typeof type !== 'string' || typeof object !== 'string')
    throw new WebhookSignatureError('not-json');
  return body as Record<string, unknown>;
}

/**
 * Whoever has an intent's `client_secret` can confirm it in the payer's place; nothing of ours needs the copy that events carry. A string that only
 * contains such text has its quotes escaped, and is left alone.
 */
export function withoutSecrets(payload: string): string {
  return payload.replace(/"client_secret"\s*:\s*"[^"\\]*"/g, '"client_secret":null');
}
