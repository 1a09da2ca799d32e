import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { escapeHtml } from '../dashboard.js';
import { invalid, StripeError } from '../errors.js';
import { type Params, p } from '../params.js';
import { createMethod } from '../resources/payment-methods.js';

/** What the hosted pages ask of somebody who pays: a card, or a bank account where the currency has one. */
export const payFormParams = {
  kind: p.enum('card', 'us_bank_account', 'sepa_debit', 'au_becs_debit'),
  number: p.string().clearable(),
  expiry: p.string().clearable(),
  cvc: p.string().clearable(),
  account: p.string().clearable(),
  name: p.string().clearable(),
  email: p.string().clearable(),
};
export type PayForm = Params<typeof payFormParams>;

const kinds: Record<string, string> = {
  card: 'Card',
  us_bank_account: 'US bank account',
  sepa_debit: 'SEPA debit',
  au_becs_debit: 'BECS debit',
};

/** A message above a form; nothing when there is none. */
export function alertHtml(message: string | undefined): string {
  return message === undefined ? '' : `<p role="alert"><strong>${escapeHtml(message)}</strong></p>`;
}

/** The fields, without the form around them. */
export function payFields(types: string[], options: { email?: boolean } = {}): string {
  const known = types.filter((type) => kinds[type] !== undefined);
  const choice =
    known.length < 2
      ? `<input type="hidden" name="kind" value="${known[0] ?? 'card'}">`
      : `<label>Pay with<select name="kind">${known.map((type) => `<option value="${type}">${kinds[type]}</option>`).join('')}</select></label>`;
  const bank = known.some((type) => type !== 'card')
    ? '<label>Account number or IBAN (bank accounts)<input name="account" autocomplete="off"></label>'
    : '';
  return `${options.email ? '<label>Email<input name="email" type="email" autocomplete="email" required></label>' : ''}
    ${choice}
    <label>Card number<input name="number" inputmode="numeric" autocomplete="cc-number" placeholder="4242 4242 4242 4242"></label>
    <label>Expires<input name="expiry" autocomplete="cc-exp" placeholder="MM / YY"></label>
    <label>CVC<input name="cvc" inputmode="numeric" autocomplete="cc-csc" placeholder="123"></label>
    ${bank}<label>Name<input name="name" autocomplete="name"></label>`;
}

/** The customer's agreement that a page like this takes together with the account number. */
export const agreement = {
  customer_acceptance: { type: 'online' as const, online: { ip_address: '127.0.0.1', user_agent: 'local-stripe' } },
};

/** The method that was typed in. @throws StripeError 402 for a number that is none */
export function methodOfForm(ctx: Context, form: PayForm): Stripe.PaymentMethod {
  const person = { name: form.name ?? null, email: form.email ?? null };
  const kind = form.kind ?? 'card';
  if (kind === 'card') {
    const [, month = '', year = ''] = /^\s*(\d{1,2})\s*[/-]?\s*(\d{2}|\d{4})\s*$/.exec(form.expiry ?? '12/40') ?? [];
    return createMethod(ctx, {
      type: 'card',
      card: {
        number: form.number ?? '',
        exp_month: Number(month),
        exp_year: Number(year),
        ...(form.cvc && { cvc: form.cvc }),
      },
      billing_details: person,
    });
  }
  const number = form.account ?? '';
  if (number === '') throw invalid('Enter an account number.', 'account');
  return createMethod(ctx, {
    type: kind,
    billing_details: person,
    ...(kind === 'us_bank_account' && {
      us_bank_account: {
        account_number: number,
        routing_number: '110000000',
        account_holder_type: 'individual' as const,
      },
    }),
    ...(kind === 'sepa_debit' && { sepa_debit: { iban: number } }),
    ...(kind === 'au_becs_debit' && { au_becs_debit: { account_number: number, bsb_number: '000000' } }),
  });
}

/** What a person shall read of an error; anything that is not theirs to mend is thrown on. */
export function messageOf(error: unknown): string {
  if (error instanceof StripeError && error.status < 500) return error.message;
  throw error;
}
