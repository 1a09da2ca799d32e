import { AppError, badInput } from './errors.js';

/** Currencies without a minor unit. https://docs.stripe.com/currencies#zero-decimal */
const zeroDecimal = new Set('bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '));

/** Currencies with a thousandth; Stripe requires the last digit to be 0. https://docs.stripe.com/currencies#three-decimal */
const threeDecimal = new Set('bhd jod kwd omr tnd'.split(' '));

/** No minor unit of their own any more, but Stripe still takes them in hundredths that are multiples of 100. */
const wholeHundreds = new Set(['isk', 'ugx']);

/** Stripe's own limit on an amount: eight digits. https://docs.stripe.com/api/payment_intents/object#payment_intent_object-amount */
export const maxAmount = 99_999_999;

/** Decimal places of a currency's minor unit as Stripe counts them: 2, 0 or 3. */
export function minorDigits(currency: string): number {
  if (zeroDecimal.has(currency)) return 0;
  return threeDecimal.has(currency) ? 3 : 2;
}

/** The smallest step an amount may have: 100 for isk and ugx, 10 for three-decimal currencies, else 1. */
export function minorStep(currency: string): number {
  if (wholeHundreds.has(currency)) return 100;
  return threeDecimal.has(currency) ? 10 : 1;
}

/** Whether it is written as a currency: three lower-case letters. Whether an account takes it, Stripe decides. */
export function isCurrency(code: string): boolean {
  return /^[a-z]{3}$/.test(code);
}

/**
 * Checks an amount in minor units that a client sent.
 * @throws AppError BAD_USER_INPUT | AMOUNT_TOO_LARGE
 */
export function checkAmount(amount: number, currency: string, field: string): void {
  if (!Number.isSafeInteger(amount) || amount <= 0)
    throw badInput(field, 'The amount must be a whole number of minor units above 0.');
  if (amount > maxAmount)
    throw new AppError('AMOUNT_TOO_LARGE', `The amount may be at most ${maxAmount} minor units.`, { field });
  const step = minorStep(currency);
  if (amount % step !== 0) throw badInput(field, `Amounts in ${currency.toUpperCase()} must be multiples of ${step}.`);
}

/**
 * How people write it: `USD 1,234.50`, `JPY 500`. The only place where minor units are divided.
 * @param amount minor units; may be negative
 */
export function formatMoney(amount: number, currency: string): string {
  const digits = minorDigits(currency);
  const sign = amount < 0 ? '-' : '';
  const text = Math.abs(amount)
    .toString()
    .padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${currency.toUpperCase()} ${sign}${whole}${digits ? `.${text.slice(-digits)}` : ''}`;
}
