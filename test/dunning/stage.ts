import { entities } from '../../mikro-orm.config.js';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { DunningRounds } from '../../src/features/dunning/dunning-rounds.js';
import { DunningSearch } from '../../src/features/dunning/dunning-search.js';
import { PayLinks } from '../../src/features/pay-page/pay-links.js';
import { createLogger, type Logger } from '../../src/shared/logger.js';
import { StripeService } from '../../src/stripe/stripe.service.js';
import {
  aBillingTenant,
  type BilledContract,
  type BillingTenant,
  day,
  type Facts,
  giveMethod,
} from '../subscriptions/support.js';
import { type TestApp } from '../support/harness.js';

/** Clears no card: declined each time. */
export const declining = 'pm_card_chargeCustomerFail';

/** The jobs of dunning beside a running server, with a clock that stands where it is put. */
export interface Stage {
  readonly database: Database;
  readonly logger: Logger;
  readonly rounds: DunningRounds;
  readonly search: DunningSearch;
  /** Another worker's, with connections of its own. */
  otherRounds(): DunningRounds;
  /** Puts the clock so many days after the case began, and does what is due then. */
  onDay(failed: FailedInvoice, days: number, how?: { readonly once?: boolean }): Promise<void>;
  /** Puts the clock there, and looks for what no event told. */
  find(failed: FailedInvoice, days: number): Promise<void>;
  /** Does what is due. */
  run(): Promise<void>;
  stop(): Promise<void>;
}

/** A renewal that could not be collected, and its case. */
export interface FailedInvoice extends BilledContract {
  readonly invoiceId: number;
  readonly stripeInvoiceId: string;
  readonly caseId: string;
  readonly openedAt: Date;
  /** What was charged, by Stripe's id. */
  readonly method: string;
}

const signal = new AbortController().signal;

export function dunningStage(app: TestApp): Stage {
  const { secretKey, publishableKey, url: apiBase } = app.sandbox;
  const logger = createLogger(process.env.TEST_LOG_LEVEL ?? 'silent');
  const clock = { at: new Date(), now: () => clock.at };
  const payLinks = new PayLinks({ publicUrl: app.url, secret: 'a secret of tests', clock });
  const orms: { close(force: boolean): Promise<void> }[] = [];
  const stripes: StripeService[] = [];
  const parts = () => {
    const orm = createOrm({ url: app.db.url, entities, logger });
    const stripe = new StripeService({ secretKey, publishableKey, livemode: false, apiBase, logger });
    orms.push(orm);
    stripes.push(stripe);
    return { database: new Database(orm, false, true), stripe, payLinks, clock, logger };
  };
  const own = parts();
  const rounds = new DunningRounds(own);
  const search = new DunningSearch(parts());
  const run = () => rounds.run({ signal });
  const put = ({ openedAt }: FailedInvoice, days: number) => {
    // A moment later: PostgreSQL's time is finer than ours.
    clock.at = new Date(+openedAt + days * day * 1_000 + 1_000);
  };
  return {
    database: own.database,
    logger,
    rounds,
    search,
    otherRounds: () => new DunningRounds(parts()),
    onDay: async (failed, days, { once = false } = {}) => {
      put(failed, days);
      const stopping = new AbortController();
      const running = rounds.run({ signal: stopping.signal });
      if (once) stopping.abort();
      await running;
    },
    find: async (failed, days) => {
      put(failed, days);
      await search.run({ signal });
    },
    run,
    stop: async () => {
      await Promise.all(orms.map((orm) => orm.close(true)));
      stripes.forEach((stripe) => stripe.close());
    },
  };
}

/** A tenant at whose account Stripe leaves retries to us. */
export async function aDunningTenant(app: TestApp): Promise<BillingTenant> {
  await app.sandbox.control('/billing', { retry_days: [], after_retries: 'past_due' });
  return aBillingTenant(app);
}

/**
 * Subscriptions whose first renewals all fail, each with one of these test methods; or with a good card of which the bank says so by then:
 * Stripe saves none that is declined already.
 */
export async function failedRenewals(
  tenant: BillingTenant,
  methods: readonly (string | { readonly declines: string })[],
): Promise<FailedInvoice[]> {
  const contracts = await Promise.all(
    methods.map(async (wanted) => {
      const contract = await tenant.aSubscription();
      const test = typeof wanted === 'string' ? wanted : 'pm_card_visa';
      const method = await giveMethod(tenant, contract.customer.stripeId, test);
      await tenant.stripe('POST', `/subscriptions/${contract.stripeId}`, { default_payment_method: method });
      if (typeof wanted !== 'string') await tenant.declines(method, wanted.declines);
      return { ...contract, method };
    }),
  );
  await tenant.advance(32 * day);
  return Promise.all(contracts.map((contract) => failedInvoice(tenant, contract)));
}

async function failedInvoice(
  tenant: BillingTenant,
  contract: BilledContract & Pick<FailedInvoice, 'method'>,
): Promise<FailedInvoice> {
  const [row] = await tenant.rows(
    `select k.id, k.invoice_id, k.opened_at, k.stripe_invoice_id from dunning_cases k where k.tenant_id = $1 and k.subscription_id = $2`,
    contract.id,
  );
  if (!row) throw new Error('There is no case.');
  return {
    ...contract,
    caseId: row.id,
    invoiceId: row.invoice_id,
    stripeInvoiceId: row.stripe_invoice_id,
    openedAt: row.opened_at,
  };
}

/** Charges made at Stripe for a customer's renewal, the first failure included. */
export async function attemptsOf(tenant: BillingTenant, { customer }: BilledContract): Promise<Facts[]> {
  const { data } = await tenant.stripe<{ data: Facts[] }>('GET', `/charges?customer=${customer.stripeId}&limit=100`);
  // The first cycle was paid.
  return data.slice(0, -1);
}

/** The steps of a case, `number kind outcome`, in order. */
export async function stepsOf(tenant: BillingTenant, { caseId }: FailedInvoice): Promise<string[]> {
  const rows = await tenant.rows(
    'select number, kind, outcome from dunning_steps where tenant_id = $1 and case_id = $2 order by at, number',
    caseId,
  );
  return rows.map(({ number, kind, outcome }) => `${number} ${kind} ${outcome}`);
}

export async function caseOf(tenant: BillingTenant, { caseId }: FailedInvoice): Promise<Facts> {
  return (await tenant.rows('select * from dunning_cases where tenant_id = $1 and id = $2', caseId))[0]!;
}

/** The mails of a case, in order: their number and what they say. */
export function mailsOf(tenant: BillingTenant, { caseId }: FailedInvoice): Promise<Facts[]> {
  return tenant.rows(
    `select split_part(key, ':', 3)::int as step, state, data from mails where tenant_id = $1 and starts_with(key, 'dunning:' || $2) order by id`,
    caseId,
  );
}
