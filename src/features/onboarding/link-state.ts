import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { type Clock } from '../../shared/clock.js';
import { isUuid, type Uuid } from '../../shared/uuid.js';
import { isAccountId, type AccountId } from '../../stripe/types.js';

/** What Stripe carries for us through its form and back: whose link it was, and where its user goes afterwards. */
export interface LinkState {
  readonly tenantId: Uuid;
  readonly accountId: AccountId;
  readonly livemode: boolean;
  readonly type: 'ONBOARDING' | 'UPDATE';
  readonly returnUrl: string;
  /** Where to go when no new link can be made. */
  readonly refreshUrl: string;
}

/** Which of our two addresses a state is for; one cannot be used at the other. */
export type LinkPurpose = 'complete' | 'refresh';

/**
 * How long a state works, in milliseconds. Whoever has a refresh address gets a way into the tenant's form, without any token: a browser
 * that comes from Stripe has none. So it lives for an hour. Coming back only has the account read again: that may take a day.
 */
export const linkLifetime: Readonly<Record<LinkPurpose, number>> = { complete: 24 * 3_600_000, refresh: 3_600_000 };

/** Signs states, so that nobody else can make one. Nothing is stored, and any process can check what another signed. */
export class LinkStates {
  private readonly key: Buffer;

  /** @param secret of the whole installation; a key of its own is derived from it for this purpose */
  constructor(
    secret: string,
    private readonly clock: Clock,
  ) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'stripe onboarding links', 32));
  }

  sign(purpose: LinkPurpose, state: LinkState): string {
    const expires = this.clock.now().getTime() + linkLifetime[purpose];
    const body = Buffer.from(JSON.stringify({ ...state, purpose, expires })).toString('base64url');
    return `${body}.${this.mac(body).toString('base64url')}`;
  }

  /**
   * @returns null when it is not ours. An expired one still says where its user wanted to go, and may be used for nothing else.
   */
  read(purpose: LinkPurpose, token: unknown): (LinkState & { readonly isExpired: boolean }) | null {
    if (typeof token !== 'string' || token.length > 8_000) return null;
    const [body = '', signature = '', ...rest] = token.split('.');
    const given = Buffer.from(signature, 'base64url');
    const expected = this.mac(body);
    if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
    const state = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Signed;
    // What is signed is what we wrote; the checks guard against a form of an older version.
    if (state.purpose !== purpose || !isUuid(state.tenantId) || !isAccountId(state.accountId)) return null;
    return { ...state, isExpired: state.expires <= this.clock.now().getTime() };
  }

  private mac(body: string): Buffer {
    return createHmac('sha256', this.key).update(body).digest();
  }
}

interface Signed extends LinkState {
  readonly purpose: LinkPurpose;
  readonly expires: number;
}
