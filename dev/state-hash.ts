import { createHash } from 'node:crypto';

/** Runs a query that sees all tenants. */
export type Look = (sql: string) => Promise<Record<string, unknown>[]>;

interface DerivedTable {
  /** By which rows are told apart. */
  readonly key: string;
  /** Ids of our own, which are random, stand for what Stripe's id of the other row is. */
  readonly columns: readonly string[];
  /** Which rows: all, unless said. */
  readonly where?: string;
}

const paymentOf =
  '(select stripe_payment_intent_id from payments p where p.tenant_id = t.tenant_id and p.id = t.payment_id) as payment';

/**
 * What Stripe's events make of each table: the columns that follow from what Stripe said, and what the rows are told apart by. Neither our own ids nor
 * our own times are among them: a rebuilt row has others. Stamps of Stripe's are not either where only the latest of equals is kept.
 */
const derivedState: Readonly<Record<string, DerivedTable>> = {
  stripe_config: {
    key: 'stripe_account_id',
    columns: ['charges_enabled', 'payouts_enabled', 'details_submitted', 'country', 'default_currency', 'requirements'],
  },
  payment_methods: {
    key: 'stripe_payment_method_id',
    columns: ['customer_id', 'type', 'brand', 'last4', 'exp_month', 'exp_year', 'bank_name', 'status'],
  },
  payments: {
    key: 'stripe_payment_intent_id',
    columns: [
      'customer_id',
      'stripe_charge_id',
      'stripe_payment_method_id',
      'amount',
      'amount_received',
      'amount_refunded',
      'currency',
      'status',
      'booked_currency',
      'booked_gross',
      'stripe_fee',
      'application_fee',
      'net',
      'failure_code',
      'failure_decline_code',
      'dispute_state',
      'refund_pending',
      `(select stripe_subscription_id from stripe_subscriptions s where s.tenant_id = t.tenant_id and s.id = t.subscription_id) as subscription`,
      `(select stripe_invoice_id from stripe_invoices c where c.tenant_id = t.tenant_id and c.invoice_id = t.invoice_id) as cycle`,
    ],
  },
  refunds: {
    key: 'stripe_refund_id',
    columns: [
      ...[
        'stripe_charge_id',
        'stripe_balance_transaction_id',
        'amount',
        'currency',
        'status',
        'reason',
        'failure_reason',
      ],
      ...['booked_currency', 'application_fee_refunded', paymentOf],
    ],
  },
  disputes: {
    key: 'stripe_dispute_id',
    columns: [
      ...[
        'stripe_charge_id',
        'amount',
        'currency',
        'status',
        'reason',
        'network_reason_code',
        'evidence_due_by',
        'has_evidence',
      ],
      ...[
        'past_due',
        'submission_count',
        'is_inquiry',
        'charge_refundable',
        'funds_withdrawn',
        'funds_reinstated',
        paymentOf,
      ],
    ],
  },
  payouts: {
    key: 'stripe_payout_id',
    columns: [
      ...['amount', 'currency', 'status', 'method', 'automatic', 'reconciliation', 'arrival_date', 'failure_code'],
      ...['failure_message', 'statement_descriptor', 'stripe_created_at'],
    ],
  },
  stripe_subscriptions: {
    key: 'stripe_subscription_id',
    columns: [
      ...['customer_id', 'contract_id', 'status', 'quantity', 'unit_amount', 'currency', 'billing_interval'],
      ...[
        'current_period_start',
        'current_period_end',
        'trial_start',
        'trial_end',
        'cancel_at',
        'cancel_at_period_end',
      ],
      ...['canceled_at', 'ended_at', 'collection_paused', 'discount_ids'],
    ],
  },
  // The invoice of the PSA's, too: made anew, under another number.
  stripe_invoices: {
    key: 'stripe_invoice_id',
    columns: [
      ...[
        'billing_reason',
        'currency',
        'subtotal',
        'tax',
        'credit_noted',
        'attempts',
        'next_attempt_at',
        'period_start',
        'period_end',
      ],
      `(select stripe_subscription_id from stripe_subscriptions s where s.tenant_id = t.tenant_id and s.id = t.subscription_id) as subscription`,
      `(select row_to_json(f) from invoices i, lateral (select i.customer_id, i.contract_id, i.total, i.amount_paid, i.amount_credited,
          i.currency, i.status, i.payment_status, i.due_at) f where i.tenant_id = t.tenant_id and i.id = t.invoice_id) as invoice`,
      `(select jsonb_agg(f order by l.position) from invoice_lines l, lateral (select l.stripe_line_id, l.description, l.quantity, l.amount, l.tax,
          l.proration, l.period_start, l.period_end) f where l.tenant_id = t.tenant_id and l.invoice_id = t.invoice_id) as lines`,
    ],
  },
  // Their numbers are those of our posting; what was posted, and why, is Stripe's.
  ledger_transactions: {
    key: 'cause',
    columns: [
      ...[
        'stripe_account_id',
        'type',
        'category',
        'currency',
        'amount',
        'stripe_fee',
        'application_fee',
        'net',
        'source_id',
      ],
      ...['stripe_charge_id', 'stripe_payout_id'],
      `(select jsonb_object_agg(account, amount) from (select account, sum(amount) as amount from ledger_postings p
          where p.tenant_id = t.tenant_id and p.transaction_id = t.id group by 1) sums) as postings`,
    ],
  },
  subscription_history: {
    key: 'stripe_event_id',
    columns: [
      'stripe_subscription_id',
      'kind',
      'effective_at',
      'rank',
      'state',
      'currency',
      'discount_ids',
      'replaces',
    ],
  },
  // Those that an event told of. Its coupon may have had another name when another event came.
  stripe_discounts: {
    key: 'stripe_discount_id',
    columns: [
      ...['stripe_customer_id', 'stripe_subscription_id', 'stripe_coupon_id', 'duration', 'percent_off', 'amount_off'],
      ...['currency', 'starts_at', 'ends_at', 'removed_at', 'told_at'],
    ],
    where: 't.told_at is not null',
  },
  payment_failures: { key: 'attempt', columns: ['amount', 'currency', 'code', 'decline_code', 'failed_at'] },
  // Those of subscriptions are made anew, under other numbers.
  invoices: { key: 'number', columns: ['payment_status', 'amount_paid'], where: 'subscription_id is null' },
};

/** Every row of those tables as one line, in a fixed order. */
export async function stateOf(look: Look): Promise<string[]> {
  const lines: string[] = [];
  for (const [table, { key, columns, where = 'true' }] of Object.entries(derivedState)) {
    const rows = await look(
      `select concat_ws(' ', '${table}', tenant_id, ${key}, row_to_json(facts)::text) as line
       from ${table} t, lateral (select ${columns.join(', ')}) facts where ${key} is not null and ${where} order by tenant_id, ${key}`,
    );
    lines.push(...rows.map(({ line }) => String(line)));
  }
  return lines;
}

/** One number for all of it. */
export function hashOf(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}
