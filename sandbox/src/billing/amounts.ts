import type Stripe from 'stripe';
import { decimals } from '../money.js';

/** Decimal amounts travel as text; the SDK makes its own class of them. */
export function decimal(value: number | string): Stripe.Decimal {
  return String(value) as unknown as Stripe.Decimal;
}

/** The number behind a decimal as it is stored. */
export function decimalOf(value: Stripe.Decimal | number | string | null | undefined): number {
  return value === null || value === undefined ? 0 : Number(String(value));
}

/** To the nearest minor unit; halves go away from zero, so that a credit is the mirror of its debit. */
export function roundAmount(value: number): number {
  // What is exactly half in decimals may lie a hair below in binary.
  const rounded = Math.floor(Math.abs(value) + 0.5 + 1e-9);
  return value < 0 ? -rounded || 0 : rounded;
}

function tierAmount(tier: Stripe.Price.Tier, units: number): number {
  return decimalOf(tier.flat_amount_decimal) + decimalOf(tier.unit_amount_decimal) * units;
}

/** What so many of a price cost in one period, minor units before rounding. {@link https://docs.stripe.com/products-prices/pricing-models} */
export function exactAmount(price: Stripe.Price, quantity: number): number {
  let units = quantity;
  if (price.transform_quantity) {
    const { divide_by: by, round } = price.transform_quantity;
    units = round === 'up' ? Math.ceil(units / by) : Math.floor(units / by);
  }
  const { tiers } = price;
  if (price.billing_scheme !== 'tiered' || !tiers) return decimalOf(price.unit_amount_decimal) * units;
  if (price.tiers_mode === 'volume') {
    const tier = tiers.find(({ up_to: limit }) => limit === null || units <= limit);
    return tier ? tierAmount(tier, units) : 0;
  }
  let total = 0;
  let below = 0;
  for (const tier of tiers) {
    const upTo = tier.up_to ?? Infinity;
    const inTier = Math.min(units, upTo) - below;
    if (inTier > 0 || (below === 0 && units === 0)) total += tierAmount(tier, Math.max(0, inTier));
    if (units <= upTo) break;
    below = upTo;
  }
  return total;
}

/** {@link exactAmount} as it is billed. */
export function priceAmount(price: Stripe.Price, quantity: number): number {
  return roundAmount(exactAmount(price, quantity));
}

const symbols: Record<string, string> = { usd: '$', eur: '€', gbp: '£', aud: 'A$', cad: 'CA$', jpy: '¥' };

/** `$10.00`, as descriptions of lines show an amount. */
export function moneyText(amount: number, currency: string): string {
  const digits = decimals(currency);
  const text = (Math.abs(amount) / 10 ** digits).toFixed(digits);
  const symbol = symbols[currency];
  return `${amount < 0 ? '-' : ''}${symbol ?? ''}${text}${symbol ? '' : ` ${currency.toUpperCase()}`}`;
}

/** `$10.00 / month`, `$25.00 / every 3 months`. */
export function priceText(price: Stripe.Price): string {
  const { recurring } = price;
  const amount = moneyText(decimalOf(price.unit_amount_decimal), price.currency);
  if (!recurring) return amount;
  const { interval, interval_count: count } = recurring;
  return `${amount} / ${count === 1 ? interval : `every ${count} ${interval}s`}`;
}
