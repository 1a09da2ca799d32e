import { readFileSync } from 'node:fs';
import { minorDigits } from '../../shared/money.js';
import { type PayState, type PayView } from './pay-page.service.js';

const asset = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
const style = asset('./pay-page.css');
const script = asset('./pay-page.js');
const stripeForm = asset('./stripe-form.js');
const localForm = asset('./local-form.js');

export interface PayPageOptions {
  /** Of this answer alone. */
  readonly nonce: string;
  /** Where the local Stripe is; with Stripe itself, nothing. */
  readonly localStripe: string | undefined;
  readonly publishableKey: string;
}

/** What stands above everything, by state; the script says the same when it changes. */
const headlines: Readonly<Record<PayState, string>> = {
  open: '',
  failed: 'The payment did not go through',
  processing: 'Your payment is on its way',
  paid: 'This invoice is paid',
  void: 'There is nothing to pay',
  unavailable: 'This invoice cannot be paid here',
  'not-ready': 'Payment is not possible yet',
};

const explanations: Readonly<Record<PayState, string>> = {
  open: '',
  failed: '',
  processing: 'It can take some days for a bank to settle it. You do not need to do anything.',
  paid: 'Thank you. Nothing more is due.',
  void: 'The invoice was withdrawn. If you think that this is wrong, ask whoever sent it to you.',
  unavailable: 'Ask whoever sent it to you how to pay.',
  'not-ready': 'The business cannot take payments at the moment. Please try again later.',
};

/** The page of an invoice. */
export function payPage(view: PayView, { nonce, localStripe, publishableKey }: PayPageOptions): string {
  const { tenantName, invoiceNumber, total, paid, due, dueAt, state, reason } = view;
  const isOpen = state === 'open' || state === 'failed';
  const facts = {
    ...{ state, due, dueMinor: view.dueMinor, currency: view.currency, digits: minorDigits(view.currency) },
    ...{
      headlines,
      explanations,
      localStripe: localStripe ?? null,
      publishableKey,
      stripeAccountId: view.stripeAccountId,
      isCycle: view.isCycle,
    },
  };
  const date = dueAt && new Intl.DateTimeFormat('en', { dateStyle: 'long', timeZone: 'UTC' }).format(dueAt);
  const row = (name: string, value: string) => `<div><dt>${name}</dt><dd>${escape(value)}</dd></div>`;
  return page(
    `Invoice ${invoiceNumber} from ${tenantName}`,
    nonce,
    `<header><p class="from">${escape(tenantName)}</p><h1>Invoice ${escape(invoiceNumber)}</h1></header>
<p class="amount"><span class="label">Amount due</span> <strong id="due">${escape(due)}</strong></p>
<dl>${row('Total', total)}${paid === null ? '' : row('Paid so far', paid)}${date ? row('Due by', date) : ''}</dl>
<div id="outcome" class="outcome ${state}" role="status" aria-live="polite" tabindex="-1"${isOpen && !reason ? ' hidden' : ''}>
<h2 id="headline">${escape(headlines[state])}</h2><p id="explanation">${escape(reason ?? explanations[state])}</p></div>
<noscript><p class="outcome failed">Paying needs JavaScript. Please switch it on and load this page again.</p></noscript>
<form id="pay" novalidate hidden aria-label="Payment">
<div id="fields"></div>
<button type="submit" id="submit"><span id="submit-text">Pay ${escape(due)}</span></button>
</form>
<footer><p>${localStripe ? 'Test mode: no money moves.' : 'Payments are processed by Stripe. Card details never reach this site.'}</p></footer>
<script type="application/json" id="facts">${JSON.stringify(facts).replaceAll('<', '\\u003c')}</script>
${localStripe ? '' : `<script nonce="${nonce}" src="https://js.stripe.com/v3/"></script>`}
<script nonce="${nonce}" type="module">${localStripe ? localForm : stripeForm}
${script}</script>`,
  );
}

const notes = {
  expired: ['This link has expired', 'Please ask whoever sent it to you for a new one.'],
  unknown: ['This link is not valid', 'Please check that the address is complete, or ask whoever sent it to you.'],
} as const;

/** What is shown instead of an invoice. The same for everybody: nothing is told about what a link may have been for. */
export function notePage(note: keyof typeof notes, nonce: string): string {
  const [title, text] = notes[note];
  return page(title, nonce, `<header><h1>${title}</h1></header><p>${text}</p>`);
}

function page(title: string, nonce: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex"><title>${escape(title)}</title>
<link rel="icon" href="data:,"><style nonce="${nonce}">${style}</style></head>
<body><main>${body}</main></body></html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
