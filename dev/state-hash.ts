import { createHash } from 'node:crypto';

/** Runs a query that sees all tenants. */
export type Look = (sql: string) => Promise<Record<string, unknown>[]>;

interface DerivedTable {
  /** By which rows are told apart. */
  readonly key: string;
  readonly columns: readonly string[];
  /** Which rows: all, unless said. */
  readonly where?: string;
}

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
    ],
  },
  subscription_history: {
    key: 'stripe_event_id',
    columns: ['stripe_subscription_id', 'kind', 'effective_at', 'rank', 'state', 'currency', 'replaces'],
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
       from ${table}, lateral (select ${columns.join(', ')}) facts where ${key} is not null and ${where} order by tenant_id, ${key}`,
    );
    lines.push(...rows.map(({ line }) => String(line)));
  }
  return lines;
}

/** One number for all of it. */
export function hashOf(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}
