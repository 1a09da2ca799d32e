import { invalid } from '../errors.js';
import { Param } from '../params.js';

/**
 * A parameter that Stripe knows and the sandbox gives no meaning to. Taking it silently would make a test green that real Stripe fails,
 * so a value is refused; an empty one, which asks for nothing, passes.
 */
export function unsupported(what: string): Param<undefined> {
  return new Param((raw, path) => {
    if (raw === '' || (Array.isArray(raw) && raw.length === 0)) return undefined;
    if (typeof raw === 'object' && raw !== null && String((raw as { enabled?: unknown }).enabled) === 'false')
      return undefined;
    throw invalid(`local-stripe does not do ${what}.`, path);
  });
}

/** The parameters of billing that belong to whole products of their own. */
export const notDone = {
  automatic_tax: unsupported('taxes'),
  default_tax_rates: unsupported('taxes'),
  tax_rates: unsupported('taxes'),
  discounts: unsupported('discounts of anything but subscriptions'),
  default_source: unsupported('sources'),
  on_behalf_of: unsupported('on_behalf_of: charges here are direct'),
  transfer_data: unsupported('transfers: charges here are direct'),
  billing_thresholds: unsupported('billing thresholds'),
  customer_account: unsupported('customers that are accounts'),
};
