import { randomUUID } from 'node:crypto';
import { type TestApp } from '../support/harness.js';
import { type BilledContract, type BillingTenant, day, type Facts, giveMethod } from './support.js';

/** How much happened. */
export interface Happenings {
  failures: number;
  disputes: number;
  refunds: number;
}

/** The same seed is the same year. https://en.wikipedia.org/wiki/Linear_congruential_generator */
function dice(seed: number) {
  let state = Math.imul(seed + 1, 2_654_435_761) >>> 0;
  const next = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  return {
    chance: (p: number) => next() < p,
    between: (low: number, high: number) => low + Math.floor(next() * (high - low + 1)),
    oneOf: <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!,
  };
}

const change = (name: string, result: string) =>
  `mutation ($input: ${name[0]!.toUpperCase()}${name.slice(1)}Input!) { ${name}(input: $input) { ${result} { status } } }`;

/** A contract that lives by its own dice, so that the others of its month may live at the same time. */
interface Life extends BilledContract {
  readonly dice: ReturnType<typeof dice>;
  gone: boolean;
  failing: boolean;
  /** A payment under dispute, by its id at Stripe. */
  dispute: string | null;
}

/** What of a contract its month depends on. */
interface Standing {
  readonly paused: boolean;
  /** The newest payment that came in. */
  readonly payment: Facts | undefined;
}

/** As many at the same time as a server with two cores likes. */
async function each<T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const rest = list.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const one of rest) await work(one);
    }),
  );
}

/**
 * A year of one tenant: contracts join, leave, grow, shrink, pause; cards fail and are replaced; banks dispute, and what was paid is given
 * back, here and in Stripe's dashboard.
 */
export async function aYear(app: TestApp, tenant: BillingTenant, contracts: number, seed: number): Promise<Happenings> {
  const happened: Happenings = { failures: 0, disputes: 0, refunds: 0 };
  const fate = dice(seed);
  const lives: Life[] = [];
  const months = 12;

  const join = async (count: number) => {
    const first = lives.length;
    const joined = Array.from({ length: count }, (_, i) => dice(seed * 1_000 + first + i));
    await each(joined, async (own) => {
      const contract = {
        unit_amount: own.between(5, 200) * 100 + own.oneOf([0, 50, 99]),
        quantity: own.between(1, 40),
      };
      const billed = await tenant.aSubscription({ contract });
      lives.push({ ...billed, dice: own, gone: false, failing: false, dispute: null });
    });
  };

  await join(Math.ceil(contracts / 2));
  for (let month = 0; month < months; month += 1) {
    const standings = await standingsOf(tenant);
    await each(lives, async (life) => {
      const standing = standings.get(life.id);
      if (standing && !life.gone) await aMonth(app, tenant, life, standing, happened);
    });
    const left = contracts - lives.length;
    await join(month < months - 1 ? Math.ceil(left / (months - 1 - month)) : 0);
    await tenant.advance(fate.between(28, 31) * day);
  }
  return happened;
}

/** The contracts that are billed. */
async function standingsOf({ rows }: BillingTenant): Promise<Map<string, Standing>> {
  const found = await rows(
    `select s.id, s.collection_paused as paused, to_jsonb(p) as payment from stripe_subscriptions s left join lateral (
       select p.id, p.stripe_charge_id, p.amount_received, p.amount_refunded, p.dispute_state from payments p
       where p.tenant_id = s.tenant_id and p.subscription_id = s.id and p.amount_received > 0 and p.net is not null
       order by p.created_at desc, p.id desc limit 1) p on true
     where s.tenant_id = $1 and s.status in ('ACTIVE', 'PAST_DUE')`,
  );
  return new Map(found.map(({ id, paused, payment }) => [id, { paused, payment: payment ?? undefined }]));
}

async function aMonth(
  app: TestApp,
  tenant: BillingTenant,
  life: Life,
  { paused, payment }: Standing,
  happened: Happenings,
): Promise<void> {
  const { id } = life;
  const { chance, between, oneOf } = life.dice;
  const ask = (name: string, input: object, result = 'subscription') =>
    tenant.ask(change(name, result), { input: { idempotencyKey: randomUUID(), ...input } });

  if (life.failing && chance(0.6)) {
    await payWith(tenant, life, await giveMethod(tenant, life.customer.stripeId, 'pm_card_visa'));
    life.failing = false;
  } else if (!life.failing && chance(0.05)) {
    const path = '/payment_methods/pm_card_chargeCustomerFail/attach';
    const { id: method } = await tenant.stripe<Facts>('POST', path, { customer: life.customer.stripeId });
    await payWith(tenant, life, method);
    life.failing = true;
    happened.failures += 1;
  }

  if (life.dispute !== null && chance(0.6)) {
    await app.sandbox.control(`/disputes/${life.dispute}`, { outcome: oneOf(['won', 'lost']) });
    life.dispute = null;
  } else if (payment?.dispute_state === 'NONE' && chance(0.06)) {
    const left = payment.amount_received - payment.amount_refunded;
    const part = chance(0.3) && left > 1 ? { amount: between(1, left - 1) } : {};
    const opened = await app.sandbox.control<Facts>('/disputes', { charge: payment.stripe_charge_id, ...part });
    life.dispute = opened.id;
    happened.disputes += 1;
  } else if (payment?.dispute_state === 'NONE' && chance(0.08)) {
    const left = payment.amount_received - payment.amount_refunded;
    if (left > 0) {
      const amount = chance(0.5) ? left : between(1, left);
      if (chance(0.7)) {
        const refundApplicationFee = chance(0.5);
        await ask('refundPayment', { paymentId: payment.id, amount, refundApplicationFee }, 'refund');
      } else await tenant.stripe('POST', '/refunds', { charge: payment.stripe_charge_id, amount: String(amount) });
      happened.refunds += 1;
    }
  }

  if (paused) {
    if (chance(0.5)) await ask('resumeSubscription', { id });
  } else if (chance(0.05)) {
    await ask('pauseSubscription', { id, behavior: oneOf(['VOID', 'MARK_UNCOLLECTIBLE', 'KEEP_AS_DRAFT']) });
  }
  if (chance(0.2)) await ask('updateSubscription', { id, quantity: between(1, 60), prorate: chance(0.8) });
  else if (chance(0.05)) {
    const unitAmount = { amount: between(500, 20_000), currency: 'usd' };
    await ask('updateSubscription', { id, unitAmount });
  }
  if (chance(0.03)) {
    const atPeriodEnd = chance(0.6);
    await ask('cancelSubscription', { id, atPeriodEnd, prorate: !atPeriodEnd && chance(0.5) });
    life.gone = true;
  }
}

/** From the next cycle on. */
async function payWith({ stripe }: BillingTenant, { stripeId }: Life, method: string): Promise<void> {
  await stripe('POST', `/subscriptions/${stripeId}`, { default_payment_method: method });
}
