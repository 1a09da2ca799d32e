import { type Context } from '../context.js';

/** What an account's dashboard would set for all of its billing; here one setting for the whole sandbox, `POST /_control/billing`. */
export interface BillingSettings {
  /** Days between the attempts to collect, the first counted from the failure. {@link https://docs.stripe.com/billing/revenue-recovery/smart-retries} */
  retry_days: number[];
  /** What a subscription becomes when the last retry failed. */
  after_retries: 'cancel' | 'unpaid' | 'past_due';
  /** How long before a renewal `invoice.upcoming` comes. */
  upcoming_days: number;
  /** How long a renewal stays a draft. {@link https://docs.stripe.com/billing/invoices/subscription} */
  draft_seconds: number;
}

/** The settings; change them in place. */
export function billingSettings(ctx: Context): BillingSettings {
  const settings = ctx.platform.secret<BillingSettings>('billing_settings');
  settings.retry_days ??= [3, 5, 7];
  settings.after_retries ??= 'cancel';
  settings.upcoming_days ??= 7;
  settings.draft_seconds ??= 3_600;
  return settings as BillingSettings;
}

export const daySeconds = 86_400;
