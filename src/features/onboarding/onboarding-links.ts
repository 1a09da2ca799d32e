import { type Clock } from '../../shared/clock.js';
import { LinkStates, type LinkPurpose, type LinkState } from './link-state.js';
import { ReturnUrls } from './return-url.js';

export interface OnboardingLinkSettings {
  /** Where browsers reach this server: `https://billing.example.com`. */
  readonly publicUrl: string;
  /** Origins of `RETURN_URL_ORIGINS`. */
  readonly returnOrigins: readonly string[];
  /** The installation's secret; a key of its own is derived from it. */
  readonly secret: string;
  readonly clock: Clock;
}

/** The two addresses that Stripe sends browsers back to, and the pages of the PSA behind them. */
export class OnboardingLinks {
  readonly returnUrls: ReturnUrls;
  private readonly states: LinkStates;

  constructor(private readonly settings: OnboardingLinkSettings) {
    this.returnUrls = new ReturnUrls(settings.returnOrigins);
    this.states = new LinkStates(settings.secret, settings.clock);
  }

  /** Our own address for one of the purposes, with everything in it that is needed when somebody comes there. */
  address(purpose: LinkPurpose, state: LinkState): string {
    const url = new URL(`/api/stripe/onboarding-${purpose}`, this.settings.publicUrl);
    url.searchParams.set('state', this.states.sign(purpose, state));
    return url.href;
  }

  /** @returns null when it is not one that we signed, or leads where nobody is sent any more */
  read(purpose: LinkPurpose, state: unknown): ReturnType<LinkStates['read']> {
    const read = this.states.read(purpose, state);
    return read && this.returnUrls.allows(read.returnUrl) && this.returnUrls.allows(read.refreshUrl) ? read : null;
  }
}
