import { invalid } from './errors.js';

/** Currencies Stripe takes. {@link https://docs.stripe.com/currencies} */
const known = new Set(
  'aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw'.split(
    ' ',
  ),
);
const zeroDecimal = new Set('bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '));
const threeDecimal = new Set('bhd jod kwd omr tnd'.split(' '));
/** Zero-decimal in life, two-decimal on the wire: multiples of 100. {@link https://docs.stripe.com/currencies#special-cases} */
const hundreds = new Set(['isk', 'ugx']);
/** Smallest charge, minor units. {@link https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts} */
const smallest: Record<string, number> = {
  usd: 50,
  aed: 200,
  aud: 50,
  bgn: 100,
  brl: 50,
  cad: 50,
  chf: 50,
  czk: 1500,
  dkk: 250,
  eur: 50,
  gbp: 30,
  hkd: 400,
  huf: 17500,
  inr: 50,
  jpy: 50,
  mxn: 1000,
  myr: 200,
  nok: 300,
  nzd: 50,
  pln: 200,
  ron: 200,
  sek: 300,
  sgd: 50,
  thb: 1000,
};
const largestAmount = 99_999_999;

/** Digits after the point. */
export function decimals(currency: string): 0 | 2 | 3 {
  if (zeroDecimal.has(currency)) return 0;
  return threeDecimal.has(currency) ? 3 : 2;
}

/** `1234, 'usd'` → `12.34 usd`, as error messages show it. */
export function formatMoney(amount: number, currency: string): string {
  const digits = decimals(currency);
  return `${(amount / 10 ** digits).toFixed(digits)} ${currency}`;
}

/** `1234, 'usd'` → `$12.34`, as messages about refunds and balances show it. */
export function showMoney(amount: number, currency: string): string {
  const digits = decimals(currency);
  return new Intl.NumberFormat('en-US', {
    style: 'currency',
    currency: currency.toUpperCase(),
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(amount / 10 ** digits);
}

/** The currency in lower case. @throws StripeError 400 for one that Stripe does not know */
export function checkCurrency(value: string, param = 'currency'): string {
  const currency = value.toLowerCase();
  if (!known.has(currency)) {
    throw invalid(
      `Invalid currency: ${currency}. Stripe currently supports these currencies: ${[...known].join(', ')}`,
      param,
      'parameter_invalid_string_enum',
    );
  }
  return currency;
}

/** Whether an amount can be charged. @throws StripeError 400 `amount_too_small` | `amount_too_large` | `parameter_invalid_integer` */
export function checkAmount(amount: number, currency: string, param = 'amount'): void {
  if (amount < 1) throw invalid('This value must be greater than or equal to 1.', param, 'parameter_invalid_integer');
  if (amount > largestAmount) {
    throw invalid(`Amount must be no more than ${formatMoney(largestAmount, currency)}`, param, 'amount_too_large');
  }
  const least = smallest[currency] ?? (decimals(currency) === 0 ? 50 : decimals(currency) === 3 ? 150 : 50);
  if (amount < least)
    throw invalid(`Amount must be at least ${formatMoney(least, currency)}`, param, 'amount_too_small');
  if (threeDecimal.has(currency) && amount % 10 !== 0) {
    throw invalid(
      `Invalid ${currency} amount: the least-significant digit must be 0.`,
      param,
      'parameter_invalid_integer',
    );
  }
  if (hundreds.has(currency) && amount % 100 !== 0) {
    throw invalid(`Invalid ${currency} amount: it must be divisible by 100.`, param, 'parameter_invalid_integer');
  }
}

/** What Stripe takes of a payment, per kind of method. Standard US prices; {@link https://stripe.com/pricing}. */
export function processingFee(amount: number, currency: string, methodType: string): number {
  if (methodType === 'us_bank_account') return Math.min(500, Math.round(amount * 0.008));
  if (methodType === 'sepa_debit') return 35;
  if (methodType === 'au_becs_debit') return Math.min(350, Math.round(amount * 0.01) + 30);
  if (methodType === 'bacs_debit') return Math.min(400, Math.round(amount * 0.01) + 20);
  // 2.9 % in whole numbers, so that no binary fraction decides the rounding.
  const percent = Math.floor((amount * 29 + 500) / 1000);
  switch (decimals(currency)) {
    case 0:
      return percent + 30;
    case 2:
      return percent + 30;
    case 3:
      return Math.round((percent + 90) / 10) * 10;
  }
}
