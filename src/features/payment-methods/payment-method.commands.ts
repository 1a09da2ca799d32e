import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { type Command } from '../../jobs/commands/command.entity.js';
import { type AnyCommandKind, type CommandKind, type Running } from '../../jobs/commands/kind.js';
import { systemClock } from '../../shared/clock.js';
import { AppError, notFound } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { paymentMethodReport, type PaymentMethodReport } from '../../stripe/reports.js';
import {
  type AccountId,
  type CustomerId,
  type PaymentMethodId,
  type SetupIntent,
  type SetupIntentId,
} from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { Customer } from '../customers/customer.entity.js';
import { createStripeCustomer, knownStripeCustomer, withStripeCustomer } from '../customers/stripe-customer.js';
import { connectedAccount } from '../onboarding/connected-account.js';
import { StripeSubscription } from '../subscriptions/subscription.entity.js';
import { SubscriptionStatus } from '../subscriptions/subscription-state.js';
import { methodStatusAt, PaymentMethod, PaymentMethodStatus, requireMandate } from './payment-method.entity.js';
import { lockDefaults, lockMethod, makeDefault, recordDetached, recordMethod } from './payment-method-record.js';

/** Whose the method is to be. */
interface OwnerPlan {
  readonly customerId: number;
  /** Null when Stripe does not know the customer yet. */
  readonly stripeCustomerId: CustomerId | null;
}

interface SetupReport {
  readonly id: SetupIntentId;
  /** What the browser confirms with. Never stored. */
  readonly clientSecret: string | null;
}

const setupKey = 'psa_setup_id';

/** Prepares to save a method: the browser confirms, and Stripe's event makes the row. */
export const createSetup: CommandKind<{ customerId: number }, OwnerPlan, SetupReport> = {
  name: 'payment-methods.setup',

  async prepare(em, { customerId }, command) {
    const plan = await ownerOf(em, customerId, command);
    note(em, command, 'payment-method.setup', 'customer');
    return plan;
  },

  async send(running, key) {
    const metadata = { [setupKey]: running.command.id };
    const ask = (customerId: CustomerId, key: string) =>
      running.stripe.createSetupIntent({ customerId, metadata }, { key });
    return setupReport(await forOwnerOf(running, key, ask));
  },

  async find({ stripe, command }) {
    const since = command.sentAt ?? command.createdAt;
    const intent = await stripe.findSetupIntent({ metadata: { [setupKey]: command.id }, since });
    return intent && setupReport(intent);
  },

  apply: (_em, { command }, { id }) => Promise.resolve({ setupIntentId: id, stripeAccountId: command.stripeAccountId }),
  reject: () => Promise.resolve(),
};

function setupReport({ id, client_secret: clientSecret }: SetupIntent): SetupReport {
  return { id: id as SetupIntentId, clientSecret };
}

export interface AttachMethod {
  readonly customerId: number;
  readonly stripePaymentMethodId: PaymentMethodId;
  readonly setAsDefault: boolean;
}

/** Gives a method that the browser made to a customer. */
export const attachMethod: CommandKind<AttachMethod, OwnerPlan & AttachMethod, PaymentMethodReport> = {
  name: 'payment-methods.attach',
  isRepeatable: true,

  async prepare(em, { customerId, stripePaymentMethodId, setAsDefault }, command) {
    const owner = await ownerOf(em, customerId, command);
    note(em, command, 'payment-method.attach', 'customer', { stripePaymentMethodId, setAsDefault });
    return { ...owner, stripePaymentMethodId, setAsDefault };
  },

  async send(running, key) {
    const { stripe, plan } = running;
    const ask = (customerId: CustomerId, key: string) =>
      stripe.attachPaymentMethod(plan.stripePaymentMethodId, { customerId, asDefault: plan.setAsDefault }, { key });
    return paymentMethodReport(await forOwnerOf(running, key, ask));
  },

  /** That it is attached says nothing about the default; and attaching it again changes nothing. */
  find: () => Promise.resolve(null),

  async apply(em, { command, plan }, report) {
    const accountId = command.stripeAccountId as AccountId;
    if (plan.setAsDefault) await lockDefaults(em, plan.customerId);
    const recorded = await recordMethod(em, report, { accountId, asOf: report.created, fetched: false });
    if (!recorded) throw new Error('Stripe attached the method to another customer.');
    const { method } = recorded;
    if (plan.setAsDefault && !method.isDetached) await makeDefault(em, method);
    return { paymentMethodId: method.id };
  },

  reject: () => Promise.resolve(),
};

interface MethodPlan {
  readonly customerId: number;
  readonly stripeCustomerId: CustomerId;
  readonly stripePaymentMethodId: PaymentMethodId;
}

/** Makes a method the one that is used when none is named. */
export const defaultMethod: CommandKind<{ paymentMethodId: Uuid }, MethodPlan, object> = {
  name: 'payment-methods.set-default',
  isRepeatable: true,
  prepare: (em, { paymentMethodId }, command) =>
    planFor(em, paymentMethodId, command, 'payment-method.set-default', { isCharged: true }),

  async send({ stripe, plan }, key) {
    await stripe.setDefaultPaymentMethod(plan.stripeCustomerId, plan.stripePaymentMethodId, { key });
    return {};
  },

  find: () => Promise.resolve(null),

  async apply(em, { command, plan }) {
    await lockDefaults(em, plan.customerId);
    const method = await lockMethod(em, plan.stripePaymentMethodId);
    if (method && !method.isDetached) await makeDefault(em, method);
    return { paymentMethodId: command.subjectId };
  },

  reject: () => Promise.resolve(),
};

export interface DetachMethod {
  readonly paymentMethodId: Uuid;
  /** Even when a running subscription is left with nothing to be paid with. */
  readonly force: boolean;
}

const detachName = 'payment-methods.detach';

/** Takes a method from its customer for good. */
export const detachMethod: CommandKind<DetachMethod, MethodPlan, PaymentMethodReport> = {
  name: detachName,
  // It is sent again only after a look that found it attached.
  isRepeatable: true,

  async prepare(em, { paymentMethodId, force }, command) {
    const method = await em.findOne(PaymentMethod, { id: paymentMethodId }, { disableIdentityMap: true });
    // Two removals at once must not each count on the other's method.
    if (method) await lockDefaults(em, method.customerId);
    const plan = await planFor(em, paymentMethodId, command, 'payment-method.detach');
    if (!force) await requireAnother(em, plan.customerId, paymentMethodId);
    return plan;
  },

  async send({ stripe, plan }, key) {
    return paymentMethodReport(await stripe.detachPaymentMethod(plan.stripePaymentMethodId, { key }));
  },

  async find({ stripe, plan }) {
    const report = paymentMethodReport(await stripe.retrievePaymentMethod(plan.stripePaymentMethodId));
    return report.customerId === null ? report : null;
  },

  async apply(em, { command }, report) {
    await recordDetached(em, report.id, report.created);
    return { paymentMethodId: command.subjectId };
  },

  reject: () => Promise.resolve(),
};

/** For the recovery of commands that were cut off. */
export const paymentMethodCommands: AnyCommandKind[] = [
  createStripeCustomer,
  createSetup,
  attachMethod,
  defaultMethod,
  detachMethod,
];

async function ownerOf(em: EntityManager, customerId: number, command: Command): Promise<OwnerPlan> {
  const { stripeAccountId } = await connectedAccount(em);
  if (!(await em.findOne(Customer, { id: customerId }))) throw notFound('customer', 'input.customerId');
  command.subjectId = String(customerId);
  command.stripeAccountId = stripeAccountId;
  return { customerId, stripeCustomerId: await knownStripeCustomer(em, customerId, stripeAccountId) };
}

function forOwnerOf<T>(
  { plan, command, commands }: Running<OwnerPlan>,
  key: string,
  ask: (customerId: CustomerId, key: string) => Promise<T>,
): Promise<T> {
  const { customerId, stripeCustomerId: known } = plan;
  const accountId = command.stripeAccountId as AccountId;
  return withStripeCustomer(commands, { customerId, accountId, known, actor: command.actor }, key, ask);
}

/** Whoever is charged again and again keeps something to be charged on. @throws AppError INVALID_STATE */
async function requireAnother(em: EntityManager, customerId: number, id: Uuid): Promise<void> {
  const running = { $in: [SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE] };
  if (!(await em.findOne(StripeSubscription, { customerId, status: running }))) return;
  // Those that are being removed are as good as gone. Asked first: one that is gone before the second look is not found by it.
  const leaving = await em.execute<{ id: string }[]>(
    `select subject_id as id from commands where kind = ? and state in ('PENDING', 'UNKNOWN')`,
    [detachName],
  );
  const others = await em.find(PaymentMethod, { customerId, id: { $ne: id }, status: PaymentMethodStatus.ACTIVE });
  const gone = new Set(leaving.map(({ id }) => id));
  const now = systemClock.now();
  const isUsable = (method: PaymentMethod) =>
    !gone.has(method.id) && methodStatusAt(method, now) === PaymentMethodStatus.ACTIVE;
  if (!others.some(isUsable))
    throw new AppError(
      'INVALID_STATE',
      'A running subscription has no other payment method. Add one first, or force it.',
      {
        field: 'input.paymentMethodId',
      },
    );
}

async function planFor(
  em: EntityManager,
  id: Uuid,
  command: Command,
  action: string,
  { isCharged = false }: { readonly isCharged?: boolean } = {},
): Promise<MethodPlan> {
  const field = 'input.paymentMethodId';
  const method = await em.findOne(PaymentMethod, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!method) throw notFound('payment method', field);
  if (method.isDetached) throw new AppError('INVALID_STATE', 'The payment method was removed.', { field });
  if (isCharged) requireMandate(method, field);
  const { stripeAccountId } = await connectedAccount(em);
  const stripeCustomerId = await knownStripeCustomer(em, method.customerId, method.stripeAccountId);
  if (stripeAccountId !== method.stripeAccountId || !stripeCustomerId)
    throw new AppError('ACCOUNT_DISCONNECTED', 'The payment method is on an account that is disconnected.', { field });
  command.subjectId = id;
  command.stripeAccountId = stripeAccountId;
  note(em, command, action, 'payment-method');
  return { customerId: method.customerId, stripeCustomerId, stripePaymentMethodId: method.stripePaymentMethodId };
}

function note(
  em: EntityManager,
  { actor, subjectId }: Command,
  action: string,
  subjectType: string,
  details: Record<string, unknown> = {},
): void {
  audit(em, { actor, action, subjectType, subjectId, details });
}
