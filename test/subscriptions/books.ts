import { type BillingTenant, type Facts } from './support.js';

/** What a subscription, an invoice or a payment comes to, on whichever side it is kept. Amounts in minor units, times in seconds. */
export interface Books {
  readonly subscriptions: Record<string, object>;
  readonly invoices: Record<string, object>;
  readonly payments: Record<string, object>;
  readonly refunds: Record<string, object>;
  readonly disputes: Record<string, object>;
  /** What lies at Stripe, by currency. */
  readonly balance: Record<string, number>;
}

const seconds = (at: Date | null) => at && Math.floor(at.getTime() / 1_000);
const upper = (status: string) => status.toUpperCase();

/** What the local Stripe holds of a tenant. */
export async function booksAtStripe({ stripe }: BillingTenant): Promise<Books> {
  const [subscriptions, invoices, invoicePayments, intents, charges, bookings, refunds, disputes, balance] =
    await Promise.all([
      all(stripe, '/subscriptions', { status: 'all' }),
      all(stripe, '/invoices'),
      all(stripe, '/invoice_payments'),
      all(stripe, '/payment_intents'),
      all(stripe, '/charges'),
      all(stripe, '/balance_transactions', { type: 'charge' }),
      all(stripe, '/refunds'),
      all(stripe, '/disputes'),
      stripe('GET', '/balance'),
    ]);
  const chargeOf = new Map(charges.map((charge) => [charge.id, charge]));
  const sums: Record<string, number> = {};
  for (const { amount, currency } of [...balance.available, ...balance.pending])
    sums[currency] = (sums[currency] ?? 0) + amount;
  const invoiceOf = new Map(invoicePayments.map(({ payment, invoice }) => [payment.payment_intent, invoice]));
  const bookingOf = new Map(bookings.map((booking) => [booking.source, booking]));
  return {
    subscriptions: byId(
      subscriptions,
      ({ id, status, items, cancel_at_period_end, cancel_at, ended_at, pause_collection }) => {
        const [item] = items.data;
        return [
          id,
          {
            status: upper(status),
            quantity: item.quantity,
            unitAmount: item.price.unit_amount,
            periodEnd: item.current_period_end,
            cancelAtPeriodEnd: cancel_at_period_end,
            cancelAt: cancel_at,
            endedAt: ended_at,
            paused: pause_collection !== null,
          },
        ];
      },
    ),
    invoices: byId(invoices, (invoice) => [
      invoice.id,
      {
        status: upper(invoice.status),
        total: invoice.total,
        paid: invoice.amount_paid,
        due: invoice.status === 'open' ? invoice.amount_remaining : 0,
        attempts: invoice.attempt_count,
        lines: invoice.lines.data.map((line: Facts) => `${line.amount} ${line.description}`),
      },
    ]),
    payments: byId(intents, (intent) => {
      const booking = bookingOf.get(intent.latest_charge);
      const fee = booking?.fee_details.find(({ type }: Facts) => type === 'application_fee')?.amount ?? 0;
      return [
        intent.id,
        {
          invoice: invoiceOf.get(intent.id) ?? null,
          received: intent.amount_received,
          net: booking?.net ?? null,
          applicationFee: booking ? fee : null,
          refunded: chargeOf.get(intent.latest_charge)?.amount_refunded ?? 0,
          canceled: intent.status === 'canceled',
        },
      ];
    }),
    refunds: byId(refunds, ({ id, charge, amount, status }) => [id, { charge, amount, status: upper(status) }]),
    disputes: byId(
      disputes,
      ({ id, charge, amount, status, is_charge_refundable: refundable, balance_transactions }) => {
        const booked = (category: string) =>
          balance_transactions.some(({ reporting_category }: Facts) => reporting_category === category);
        const funds = { withdrawn: booked('dispute'), reinstated: booked('dispute_reversal') };
        return [id, { charge, amount, status: upper(status), refundable, ...funds }];
      },
    ),
    balance: sums,
  };
}

/** What our tables hold of it. */
export async function booksHere({ rows }: BillingTenant): Promise<Books> {
  const [subscriptions, invoices, lines, payments, refunds, disputes, balance] = await Promise.all([
    rows('select * from stripe_subscriptions where tenant_id = $1'),
    rows(
      `select i.*, c.stripe_invoice_id, c.attempts from invoices i join stripe_invoices c on c.tenant_id = i.tenant_id and c.invoice_id = i.id
       where i.tenant_id = $1`,
    ),
    rows('select * from invoice_lines where tenant_id = $1 order by position'),
    rows(
      `select p.*, c.stripe_invoice_id from payments p left join stripe_invoices c on c.tenant_id = p.tenant_id and c.invoice_id = p.invoice_id
       where p.tenant_id = $1`,
    ),
    rows('select * from refunds where tenant_id = $1'),
    rows('select * from disputes where tenant_id = $1'),
    rows(
      `select currency, sum(amount) as sum from ledger_postings where tenant_id = $1 and account = 'STRIPE_BALANCE' group by currency`,
    ),
  ]);
  const linesOf = (invoice: Facts) => lines.filter(({ invoice_id }) => invoice_id === invoice.id);
  const amount = (value: unknown) => (value === null ? null : Number(value));
  return {
    subscriptions: byId(subscriptions, (row) => [
      row.stripe_subscription_id,
      {
        status: row.status,
        quantity: row.quantity,
        unitAmount: amount(row.unit_amount),
        periodEnd: seconds(row.current_period_end),
        cancelAtPeriodEnd: row.cancel_at_period_end,
        cancelAt: seconds(row.cancel_at),
        endedAt: seconds(row.ended_at),
        paused: row.collection_paused,
      },
    ]),
    invoices: byId(invoices, (row) => [
      row.stripe_invoice_id,
      {
        status: row.status,
        total: amount(row.total),
        paid: amount(row.amount_paid),
        due: row.status === 'OPEN' ? Number(row.total) - Number(row.amount_credited) - Number(row.amount_paid) : 0,
        attempts: row.attempts,
        lines: linesOf(row).map((line) => `${line.amount} ${line.description}`),
      },
    ]),
    payments: byId(payments, (row) => [
      row.stripe_payment_intent_id,
      {
        invoice: row.stripe_invoice_id,
        received: amount(row.amount_received),
        net: amount(row.net),
        applicationFee: amount(row.application_fee),
        refunded: amount(row.amount_refunded),
        canceled: row.status === 'CANCELED',
      },
    ]),
    refunds: byId(refunds, (row) => [
      row.stripe_refund_id,
      { charge: row.stripe_charge_id, amount: amount(row.amount), status: row.status },
    ]),
    disputes: byId(disputes, (row) => [
      row.stripe_dispute_id,
      {
        charge: row.stripe_charge_id,
        amount: amount(row.amount),
        status: row.status,
        refundable: row.charge_refundable,
        withdrawn: row.funds_withdrawn,
        reinstated: row.funds_reinstated,
      },
    ]),
    balance: Object.fromEntries(balance.map(({ currency, sum }) => [currency, Number(sum)])),
  };
}

/** Every page of a list. */
async function all(stripe: BillingTenant['stripe'], path: string, form: Record<string, string> = {}): Promise<Facts[]> {
  const found: Facts[] = [];
  for (;;) {
    const last = found.at(-1)?.id as string | undefined;
    const page = await stripe('GET', path, { ...form, limit: '100', ...(last && { starting_after: last }) });
    found.push(...page.data);
    if (!page.has_more) return found;
  }
}

function byId(rows: readonly Facts[], entry: (row: Facts) => [string, object]): Record<string, object> {
  return Object.fromEntries(rows.map(entry).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
