import type Stripe from 'stripe';
import { aStripe, type TestStripe } from './stripe.js';
import { SchemaChecker, type Violation } from './schema-check.mjs';

/** 31 January, noon: the month end is where billing goes wrong. */
export const january31 = Date.UTC(2026, 0, 31, 12) / 1000;

export const at = (month: number, day: number, hour = 12): number => Date.UTC(2026, month - 1, day, hour) / 1000;

/** An event as it happened, whoever listened. */
interface Happened {
  type: string;
  account?: string;
  data: { object: Record<string, unknown>; previous_attributes?: Record<string, unknown> };
}

export interface Billing extends TestStripe {
  /** All events so far, of all accounts. */
  happened: Happened[];
  /** What deviates from the SDK's types, in all exchanges and events so far. */
  violations(): string[];
  /** Names of the events since the last call. */
  news(): string[];
  /** A monthly price of ten dollars. */
  aPrice(params?: Partial<Stripe.PriceCreateParams>, options?: Stripe.RequestOptions): Promise<Stripe.Price>;
  /** A customer with a default method, on a clock when there is one. */
  aCustomer(
    method?: string | null,
    clock?: Stripe.TestHelpers.TestClock | null,
    options?: Stripe.RequestOptions,
  ): Promise<Stripe.Customer>;
  aClock(frozen?: number, options?: Stripe.RequestOptions): Promise<Stripe.TestHelpers.TestClock>;
  /** Advances and waits until the clock is ready. */
  advance(clock: Stripe.TestHelpers.TestClock, to: number, options?: Stripe.RequestOptions): Promise<void>;
  /** The intent behind an invoice's own payment. */
  intentOf(invoice: string | Stripe.Invoice | null, options?: Stripe.RequestOptions): Promise<Stripe.PaymentIntent>;
}

/** A sandbox that judges everything that passes by the SDK's types. */
export async function aBilling(): Promise<Billing> {
  const checker = new SchemaChecker();
  const happened: Happened[] = [];
  const found: Violation[] = [];
  const troubles: string[] = [];
  let seen = 0;
  const base = await aStripe({
    log: (line) => troubles.push(line),
    onExchange: (record) => {
      const plain = JSON.parse(JSON.stringify(record)) as never;
      found.push(...checker.check(plain));
      const { event } = record as { event?: Happened };
      if (event?.data) happened.push(JSON.parse(JSON.stringify(event)) as Happened);
    },
  });
  // The schemas are compiled when they are first needed, which takes its time on a busy machine.
  const stripe = base.client('sk_test_local_tests', { timeout: 30_000 });
  return {
    ...base,
    stripe,
    happened,
    violations: () => [...troubles, ...found.map(({ on, at: where }) => `${on} ${where}`)],
    news: () => {
      const types = happened.slice(seen).map(({ type }) => type);
      seen = happened.length;
      return types;
    },
    aPrice: (params = {}, options) =>
      stripe.prices.create(
        {
          currency: 'usd',
          unit_amount: 1000,
          recurring: { interval: 'month' },
          product_data: { name: 'Care' },
          ...params,
        },
        options,
      ),
    aCustomer: (method = 'pm_card_visa', clock = null, options) =>
      stripe.customers.create(
        {
          email: 'payer@example.com',
          ...(clock && { test_clock: clock.id }),
          ...(method !== null && { payment_method: method, invoice_settings: { default_payment_method: method } }),
        },
        options,
      ),
    aClock: (frozen = january31, options) => stripe.testHelpers.testClocks.create({ frozen_time: frozen }, options),
    advance: async (clock, to, options) => {
      let current = await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: to }, options);
      while (current.status !== 'ready') {
        await new Promise((resolve) => setTimeout(resolve, 5));
        current = await stripe.testHelpers.testClocks.retrieve(clock.id, {}, options);
      }
    },
    intentOf: async (invoice, options) => {
      const id = typeof invoice === 'string' ? invoice : invoice!.id;
      const { data } = await stripe.invoicePayments.list({ invoice: id }, options);
      return stripe.paymentIntents.retrieve(data[0]!.payment.payment_intent as string, {}, options);
    },
  };
}

/** A day as text, for readable expectations. */
export const day = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 10);

export const lines = (invoice: Stripe.Invoice): [string | null, number][] =>
  invoice.lines.data.map((line) => [line.description, line.amount]);
