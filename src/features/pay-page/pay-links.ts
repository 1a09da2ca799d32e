import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { type Clock } from '../../shared/clock.js';
import { isUuid, type Uuid } from '../../shared/uuid.js';

/** What a link is for. It holds no secret and nothing about anybody; what it shows is read when it is opened. */
export interface PayLink {
  readonly tenantId: Uuid;
  readonly invoiceId: number;
  readonly livemode: boolean;
}

export interface PayLinkSettings {
  /** Where browsers reach this server: `https://billing.example.com`. */
  readonly publicUrl: string;
  /** The installation's secret; a key of its own is derived from it. */
  readonly secret: string;
  readonly clock: Clock;
}

/** Signs the addresses under which invoices are paid without a login, so that nobody else can make one. Nothing is stored. */
export class PayLinks {
  private readonly key: Buffer;

  constructor(private readonly settings: PayLinkSettings) {
    this.key = Buffer.from(hkdfSync('sha256', settings.secret, '', 'invoice pay links', 32));
  }

  /** @param lifetime in milliseconds */
  create(link: PayLink, lifetime: number): { readonly url: string; readonly expiresAt: Date } {
    // Whole seconds: that is what stands in the link.
    const expires = Math.ceil((this.settings.clock.now().getTime() + lifetime) / 1000);
    const written: Written = [link.tenantId, link.invoiceId, link.livemode ? 1 : 0, expires];
    const body = Buffer.from(JSON.stringify(written)).toString('base64url');
    const url = `${this.settings.publicUrl}/pay/${body}.${this.mac(body).toString('base64url')}`;
    return { url, expiresAt: new Date(expires * 1000) };
  }

  /** @returns null when it is not ours. Of an expired one no more may be said than that it is. */
  read(token: unknown): (PayLink & { readonly isExpired: boolean }) | null {
    if (typeof token !== 'string' || token.length > 500) return null;
    const [body = '', signature = '', ...rest] = token.split('.');
    const given = Buffer.from(signature, 'base64url');
    const expected = this.mac(body);
    // Other spellings of the same bytes are refused: one link is one address.
    const isSpelled = signature === expected.toString('base64url');
    if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected) || !isSpelled)
      return null;
    const [tenantId, invoiceId, livemode, expires] = JSON.parse(
      Buffer.from(body, 'base64url').toString('utf8'),
    ) as Written;
    if (!isUuid(tenantId)) return null;
    const isExpired = expires * 1000 <= this.settings.clock.now().getTime();
    return { tenantId, invoiceId, livemode: livemode === 1, isExpired };
  }

  private mac(body: string): Buffer {
    return createHmac('sha256', this.key).update(body).digest();
  }
}

/** As short as it can be: people see it. */
type Written = [tenantId: Uuid, invoiceId: number, livemode: 0 | 1, expires: number];
