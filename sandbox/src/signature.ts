import { createHmac } from 'node:crypto';

/**
 * `Stripe-Signature`: HMAC-SHA256 over `${t}.${payload}`. While a secret is being rolled, one `v1` per secret.
 * {@link https://docs.stripe.com/webhooks#verify-manually}
 * @param timestamp Unix seconds of the attempt
 */
export function signatureHeader(payload: string, secrets: string[], timestamp: number): string {
  const signatures = secrets.map(
    (secret) => `v1=${createHmac('sha256', secret).update(`${timestamp}.${payload}`).digest('hex')}`,
  );
  return [`t=${timestamp}`, ...signatures].join(',');
}
