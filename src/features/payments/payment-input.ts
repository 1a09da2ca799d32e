import { badInput } from '../../shared/errors.js';
import { isCurrency } from '../../shared/money.js';
import { paymentKey } from './payment-record.js';

// What may be written on a payment. Stripe's limits: https://docs.stripe.com/api/metadata

const maxKeys = 50;
const maxKeyLength = 40;
const maxValueLength = 500;
const maxDescription = 1_000;

const longestCardNumber = 19;

/** What we write on an intent ourselves; these names are not for clients. */
export const invoiceKey = 'psa_invoice_id';
const ownKeys = [paymentKey, invoiceKey];

/** Presentment currencies of Stripe. Whether an account takes one, Stripe decides. https://docs.stripe.com/currencies */
const currencies = new Set(
  (
    'aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp cny cop crc cve ' +
    'czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf ' +
    'krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk ' +
    'php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu ' +
    'uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw'
  ).split(' '),
);

/** @throws AppError BAD_USER_INPUT */
export function checkCurrency(currency: string, field: string): void {
  if (!isCurrency(currency) || !currencies.has(currency))
    throw badInput(field, 'This is not a currency that payments can be taken in.');
}

/** @throws AppError BAD_USER_INPUT */
export function checkDescription(description: string, field: string): void {
  if (description.length > maxDescription) throw badInput(field, `At most ${maxDescription} characters.`);
  if (holdsCardNumber(description)) throw badInput(field, 'This looks like a card number, which must not be stored.');
}

/**
 * Checks notes that a client wants kept on a payment, here and at Stripe.
 * @returns the same with every value as text
 * @throws AppError BAD_USER_INPUT
 */
export function readMetadata(metadata: Readonly<Record<string, unknown>>, field: string): Record<string, string> {
  const entries = Object.entries(metadata);
  const limit = maxKeys - ownKeys.length;
  if (entries.length > limit) throw badInput(field, `At most ${limit} keys: Stripe takes ${maxKeys}, some are ours.`);
  return Object.fromEntries(entries.map(([key, value]) => [checkKey(key, field), textOf(value, `${field}.${key}`)]));
}

function checkKey(key: string, field: string): string {
  if (key.length === 0 || key.length > maxKeyLength)
    throw badInput(field, `A key has 1 to ${maxKeyLength} characters.`);
  if (/[[\]\0]/.test(key)) throw badInput(field, 'A key has no square brackets.');
  if (ownKeys.includes(key)) throw badInput(field, `The key ${key} is the server's own.`);
  if (holdsCardNumber(key)) throw badInput(field, 'A key looks like a card number, which must not be stored.');
  return key;
}

function textOf(value: unknown, field: string): string {
  if (!['string', 'number', 'boolean'].includes(typeof value)) throw badInput(field, 'Values are text or numbers.');
  const text = String(value);
  // Stripe takes an empty value for "remove this key".
  if (text.length === 0 || text.length > maxValueLength || text.includes('\0'))
    throw badInput(field, `A value has 1 to ${maxValueLength} characters.`);
  if (holdsCardNumber(text)) throw badInput(field, 'This looks like a card number, which must not be stored.');
  return text;
}

/** 13 to 19 digits whose check digit fits, in groups as cards are written or all at once. ISO/IEC 7812-1 */
export function holdsCardNumber(text: string): boolean {
  const runs = text.match(/\d+(?:[ -]\d+)*/g) ?? [];
  return runs.some((run) => {
    const groups = run.split(/[ -]/);
    // An order's number may stand before a card's: every group may be where one begins.
    return groups.some((_, from) => beginsCardNumber(groups, from));
  });
}

/** Groups are added as long as a card's number may still come of them: all the work is in proportion to the text. */
function beginsCardNumber(groups: readonly string[], from: number): boolean {
  let digits = '';
  for (let to = from; to < groups.length && digits.length < longestCardNumber; to += 1) {
    digits += groups[to]!;
    if (isCardNumber(digits)) return true;
  }
  return false;
}

/** First digits 2 to 6 are those of the card networks; counters and times of day begin with others. */
function isCardNumber(digits: string): boolean {
  return /^[2-6]\d{12,18}$/.test(digits) && hasCheckDigit(digits);
}

/** Luhn's formula. */
function hasCheckDigit(digits: string): boolean {
  const sum = [...digits].reverse().reduce((sum, digit, place) => {
    const doubled = Number(digit) * (place % 2 ? 2 : 1);
    return sum + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return sum % 10 === 0;
}
