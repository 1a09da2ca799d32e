import { randomUUID } from 'node:crypto';
import { entities } from '../../../mikro-orm.config.js';
import { Database, type TenantDb } from '../../../src/db/database.js';
import { createOrm } from '../../../src/db/orm.js';
import { rollUp } from '../../../src/features/insights/mrr-rollup.js';
import { recordDiscount } from '../../../src/features/subscriptions/discount-record.js';
import { keepChanged, keepPaid, keepState } from '../../../src/features/insights/subscription-history.js';
import { createLogger } from '../../../src/shared/logger.js';
import { StripeService } from '../../../src/stripe/stripe.service.js';
import { type Stage, startStage } from '../../graphql/stage.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { aCustomer, aStripeConfig, aTenant, insertRow, type Row } from '../../support/factories.js';
import { aToken } from '../../support/tokens.js';

/** What a subscription is, as far as a month's revenue depends on it. */
export interface State {
  readonly status?: 'incomplete' | 'trialing' | 'active' | 'past_due' | 'unpaid' | 'paused' | 'canceled';
  readonly quantity?: number;
  readonly unitAmount?: number;
  readonly interval?: 'day' | 'week' | 'month' | 'year';
  readonly intervalCount?: number;
  readonly currency?: string;
  readonly pause?: 'void' | 'keep_as_draft' | 'mark_uncollectible' | null;
  /** Ids of discounts, in the order in which they are taken off. */
  readonly discounts?: readonly string[];
}

/** Something that Stripe reported. */
export interface Told {
  readonly sub: string;
  readonly at: string;
  readonly eventId: string;
  /** None: it was paid for. */
  readonly state?: State;
  readonly before?: State;
}

const seconds = (at: string) => Math.floor(Date.parse(at) / 1_000);

/** As Stripe writes it: what is not about money is left out. */
function atStripe(id: string, created: string, state: State): Row {
  const { status = 'active', quantity = 1, unitAmount = 1_000, interval = 'month', intervalCount = 1 } = state;
  const { currency = 'usd', pause = null, discounts = [] } = state;
  const price = { id: 'price_1', unit_amount: unitAmount, recurring: { interval, interval_count: intervalCount } };
  const item = { id: 'si_1', quantity, price, current_period_start: 1, current_period_end: 2 };
  return {
    ...{ id, object: 'subscription', status, customer: 'cus_1', currency, created: seconds(created), metadata: {} },
    items: { object: 'list', data: [item] },
    pause_collection: pause && { behavior: pause, resumes_at: null },
    cancel_at_period_end: false,
    discounts,
  };
}

const changing = ['status', 'items', 'pause_collection', 'discounts'] as const;

/** The old values of what changed. */
function previousOf(now: Row, before: Row): Row {
  const differs = (name: string) => JSON.stringify(now[name]) !== JSON.stringify(before[name]);
  const names = changing.filter(differs);
  const items = { items: { data: (before.items as { data: unknown }).data } };
  return Object.fromEntries(names.map((name) => [name, name === 'items' ? items.items : before[name]]));
}

/** A discount as Stripe reported it; with `removedAt`, also that it is over. With that alone another has taken its place: no more is told of it then. */
export interface DiscountTold {
  readonly id: string;
  readonly percentOff?: number;
  readonly amountOff?: number;
  readonly currency?: string;
  readonly duration?: 'once' | 'repeating' | 'forever';
  readonly endsAt?: string;
  readonly removedAt?: string;
}

export type Business = Awaited<ReturnType<Subscribers['aBusiness']>>;

/** Tenants whose subscriptions are told of by hand. */
export class Subscribers {
  private constructor(
    readonly db: TestDatabase,
    readonly stage: Stage,
    readonly database: Database,
    /** Nobody answers there. */
    readonly stripe: StripeService,
  ) {}

  static async open(): Promise<Subscribers> {
    const db = await createTestDatabase();
    const stage = await startStage({}, db);
    const keys = { secretKey: 'sk_test_nobody', publishableKey: 'pk_test_nobody', livemode: false };
    const stripe = new StripeService({ ...keys, apiBase: 'http://127.0.0.1:9', logger: createLogger('silent') });
    return new Subscribers(db, stage, new Database(createOrm({ url: db.url, entities }), false), stripe);
  }

  async close(): Promise<void> {
    this.stripe.close();
    await this.database.orm.close(true);
    await this.stage.stop();
    await this.db.drop();
  }

  async aBusiness(timeZone = 'UTC') {
    const { id } = await aTenant(this.db, { time_zone: timeZone });
    const { accountId } = await aStripeConfig(this.db, { tenantId: id });
    const token = await aToken({ tenantId: id, role: 'viewer' });
    const tenantDb = this.database.tenant(id);
    return {
      id,
      token,
      db: tenantDb,
      aCustomer: async () => (await aCustomer(this.db, { tenantId: id })).id,
      /** @returns Stripe's id of it */
      aSubscription: async (customerId: number, row: Row = {}) => {
        const sub = `sub_${randomUUID().replaceAll('-', '')}`;
        await insertRow(this.db, 'stripe_subscriptions', {
          ...{
            tenant_id: id,
            livemode: false,
            customer_id: customerId,
            stripe_account_id: accountId,
            status: 'ACTIVE',
          },
          ...{ stripe_subscription_id: sub, unit_amount: 1_000, currency: 'usd', billing_interval: 'MONTH' },
          ...row,
        });
        return sub;
      },
      /** What a discount is, as an event would tell it of a subscription. */
      tellDiscount: (sub: string, discount: DiscountTold) => tellDiscount(tenantDb, accountId, sub, discount),
      tell: (told: readonly Told[]) => tell(tenantDb, accountId, told),
      ask: async (query: string) => {
        const { data, errors } = await this.stage.ask(query, {}, token);
        if (errors) throw new Error(JSON.stringify(errors));
        return data;
      },
      rollUp: () => rollUp(tenantDb),
      /** Everything that is rolled up, in a fixed order. */
      rolledUp: async () => [
        await this.db.query(
          `select customer_id, currency, month::text, cohort::text, kind, opening, closing from mrr_movements
           where tenant_id = $1 and kind is not null order by 1, 2, 3`,
          [id],
        ),
        await this.db.query(
          `select currency, month::text, new, expansion, contraction, churn, reactivation, customers_new, customers_churned, customers_reactivated
           from mrr_months where tenant_id = $1 and (new, expansion, contraction, churn, reactivation, customers_new) <> (0, 0, 0, 0, 0, 0)
           order by 1, 2`,
          [id],
        ),
      ],
      /** Rolls everything up once more, from nothing. */
      rollUpAnew: async () => {
        await this.db.query('delete from mrr_movements where tenant_id = $1', [id]);
        await this.db.query('delete from mrr_months where tenant_id = $1', [id]);
        await this.db.query('update mrr_customers set reported = reported + 1 where tenant_id = $1', [id]);
        await rollUp(tenantDb);
      },
    };
  }
}

export const eventId = () => `evt_${randomUUID().replaceAll('-', '')}`;

async function tell(db: TenantDb, accountId: string, told: readonly Told[]): Promise<void> {
  await db.transaction(async (em) => {
    for (const { sub, at, eventId: id, state, before } of told) {
      const by = { accountId, eventId: id, at: new Date(at) } as never;
      if (!state) {
        await keepPaid(em, sub as never, by);
        continue;
      }
      const now = atStripe(sub, '2020-01-01T00:00:00Z', state);
      const previous = before ? previousOf(now, atStripe(sub, '2020-01-01T00:00:00Z', before)) : null;
      await keepState(em, now as never, previous, by);
    }
  });
}

async function tellDiscount(db: TenantDb, accountId: string, sub: string, told: DiscountTold): Promise<void> {
  const { id, percentOff, amountOff, currency = 'usd', duration = 'forever', endsAt, removedAt } = told;
  const isBare = percentOff === undefined && amountOff === undefined;
  const terms = {
    ...{ name: null, duration, percentOff: percentOff === undefined ? null : String(percentOff) },
    ...{ amountOff: amountOff ?? null, currency: amountOff === undefined ? null : currency },
  };
  const whole = { subscriptionId: sub, terms, startsAt: new Date(0), endsAt: endsAt ? new Date(endsAt) : null };
  const report = { id, ...(!isBare && whole) };
  await db.transaction(async (em) => {
    const toldAt = new Date(removedAt ?? 0);
    await recordDiscount(em, report as never, { accountId, toldAt, isOver: removedAt !== undefined } as never);
    const sql = 'select customer_id as id from stripe_subscriptions where stripe_subscription_id = ?';
    for (const customer of await em.execute<{ id: number }[]>(sql, [sub])) await keepChanged(em, customer.id);
  });
}
