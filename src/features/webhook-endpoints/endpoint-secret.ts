import { createHash, hkdfSync } from 'node:crypto';
import { type Uuid } from '../../shared/uuid.js';

/**
 * What an endpoint's requests are signed with: derived, so that none lies in the database, and shown to the tenant once. Whoever changes
 * `LINK_SECRET` changes all of them; `secretCheck` tells.
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export class EndpointSecrets {
  /** @param key `LINK_SECRET` */
  constructor(private readonly key: string) {}

  /** @param version counts the rotations of this endpoint, from 1 */
  secretOf(endpointId: Uuid, version: number): string {
    const bytes = hkdfSync('sha256', this.key, endpointId, `webhook endpoint ${version}`, 32);
    return `whsec_${Buffer.from(bytes).toString('base64')}`;
  }

  checkOf(endpointId: Uuid, version: number): string {
    return createHash('sha256').update(this.secretOf(endpointId, version)).digest('hex').slice(0, 16);
  }
}
