import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { together } from '../../db/together.js';
import { type CommandKind, type Running } from '../../jobs/commands/kind.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { applicationFee } from '../../shared/fee.js';
import { checkAmount } from '../../shared/money.js';
import { type Uuid } from '../../shared/uuid.js';
import { type IntentReport, intentReport } from '../../stripe/reports.js';
import { StripeFailure } from '../../stripe/stripe-errors.js';
import {
  type AccountId,
  type CustomerId,
  type Metadata,
  type PaymentIntent,
  type PaymentMethodId,
} from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { Customer } from '../customers/customer.entity.js';
import { knownStripeCustomer, withStripeCustomer } from '../customers/stripe-customer.js';
import { Invoice, InvoiceStatus } from '../invoices/invoice.entity.js';
import { chargeable, stripeConfigOf } from '../onboarding/connected-account.js';
import { type StripeConfig } from '../onboarding/stripe-config.entity.js';
import { PaymentMethod, PaymentMethodStatus, requireMandate } from '../payment-methods/payment-method.entity.js';
import { Payment } from './payment.entity.js';
import { checkCurrency, invoiceKey } from './payment-input.js';
import { paymentKey, paymentVersion, recordIntent, stampOf } from './payment-record.js';
import { paymentStatusOf, PaymentStatus } from './payment-state.js';
import { cancelSuperseded, createKind, type OpenPayment, openPayments, underWay } from './superseded.js';

/** What a client asks for; checked as far as that can be done without the database. */
export interface CreatePayment {
  readonly invoiceId: number | null;
  readonly customerId: number | null;
  readonly amount: number | null;
  readonly currency: string | null;
  readonly paymentMethodId: Uuid | null;
  readonly confirm: boolean;
  readonly offSession: boolean;
  readonly savePaymentMethod: boolean;
  readonly captureLater: boolean;
  readonly description: string | null;
  readonly metadata: Metadata;
}

/** What is sent to Stripe. */
interface PaymentPlan {
  readonly amount: number;
  readonly currency: string;
  readonly customerId: number | null;
  /** Null when Stripe does not know the customer yet. */
  readonly stripeCustomerId: CustomerId | null;
  readonly applicationFee: number | null;
  readonly stripePaymentMethodId: PaymentMethodId | null;
  readonly confirm: boolean;
  readonly offSession: boolean;
  readonly savePaymentMethod: boolean;
  readonly captureLater: boolean;
  readonly description: string | null;
  readonly metadata: Metadata;
}

export interface PaymentReport {
  readonly intent: IntentReport;
  /** What the browser confirms with. Never stored. */
  readonly clientSecret: string | null;
  /** What Stripe refused with, although it made the intent. */
  readonly refusal?: StripeFailure;
}

/** What is known when it is asked for. */
interface Facts {
  readonly config: StripeConfig | null;
  /** Locked: two payments at once must not promise the same money. */
  readonly invoice: Invoice | null;
  /** What is open of the invoice, after nobody else can add to it. */
  readonly open: readonly OpenPayment[];
  readonly method: PaymentMethod | null;
  readonly customer: Customer | null;
  /** Who the payer is at Stripe, on any account. */
  readonly known: readonly KnownPayer[];
}

interface KnownPayer {
  readonly customerId: number;
  readonly accountId: AccountId;
  readonly id: CustomerId;
}

export const createPayment: CommandKind<CreatePayment, PaymentPlan, PaymentReport, Facts> = {
  name: createKind,

  async look(em, { invoiceId, paymentMethodId, customerId }) {
    const [config, invoice, open, method, customer, known] = await together(
      em,
      () => stripeConfigOf(em),
      async () =>
        invoiceId === null ? null : em.findOne(Invoice, { id: invoiceId }, { lockMode: LockMode.PESSIMISTIC_WRITE }),
      async () => (invoiceId === null ? [] : openPayments(em, invoiceId)),
      async () => (paymentMethodId === null ? null : em.findOne(PaymentMethod, { id: paymentMethodId })),
      async () => (customerId === null ? null : em.findOne(Customer, { id: customerId })),
      () => knownPayers(em, { invoiceId, paymentMethodId, customerId }),
    );
    return { config, invoice, open, method, customer, known };
  },

  async prepare(em, params, command, { config: account, invoice, open, method: saved, customer, known }) {
    const config = chargeable(account);
    const what = params.invoiceId === null ? freePayment(params) : await invoicePayment(em, params, invoice, open);
    const method = params.paymentMethodId && usableMethod(saved, what.customerId, params.offSession);
    const customerId = what.customerId ?? (method ? method.customerId : null);
    // An invoice's customer is there, and so is a method's.
    if (customerId !== null && !method && params.invoiceId === null && !customer)
      throw notFound('customer', 'input.customerId');
    if (params.savePaymentMethod && customerId === null)
      throw badInput('input.customerId', 'A payment method is saved for a customer: name one.');

    const { amount, currency } = what;
    const { stripeAccountId, feeRule } = config;
    const fee = applicationFee(amount, currency, feeRule) ?? null;
    const { description, captureLater, metadata } = params;
    const stripePaymentMethodId = method ? method.stripePaymentMethodId : null;
    const payment = Object.assign(new Payment(), {
      ...{ customerId, invoiceId: params.invoiceId, stripePaymentMethodId },
      ...{ stripeAccountId, amountMinor: amount, currency, requestedApplicationFee: fee, feeRule },
      ...{ description, captureLater, metadata },
      // Money may be on its way from the moment that Stripe is asked for it.
      status: params.confirm ? PaymentStatus.PROCESSING : PaymentStatus.PENDING,
    });
    em.persist(payment);
    command.subjectId = payment.id;
    command.stripeAccountId = stripeAccountId;
    audit(em, {
      actor: command.actor,
      action: 'payment.create',
      subjectType: 'payment',
      subjectId: payment.id,
      details: {
        amount,
        currency,
        customerId,
        invoiceId: params.invoiceId,
        applicationFee: fee,
        confirm: params.confirm,
      },
    });
    const { confirm, offSession, savePaymentMethod } = params;
    return {
      ...{ amount, currency, customerId, applicationFee: fee, confirm, offSession, savePaymentMethod, captureLater },
      stripeCustomerId:
        known.find((payer) => payer.customerId === customerId && payer.accountId === stripeAccountId)?.id ?? null,
      stripePaymentMethodId,
      description: description ?? what.description,
      metadata: {
        ...metadata,
        [paymentKey]: payment.id,
        ...(params.invoiceId !== null && { [invoiceKey]: String(params.invoiceId) }),
      },
    };
  },

  async send(running, key) {
    const { plan, stripe } = running;
    if (running.command.attempts > 1) await requireConnection(running);
    const create = (customerId: CustomerId | undefined, key: string) =>
      stripe.createPaymentIntent(
        {
          amount: plan.amount,
          currency: plan.currency,
          customerId,
          applicationFee: plan.applicationFee ?? undefined,
          paymentMethodId: plan.stripePaymentMethodId ?? undefined,
          confirm: plan.confirm,
          offSession: plan.offSession,
          saveMethodFor: plan.savePaymentMethod ? 'off_session' : undefined,
          captureLater: plan.captureLater,
          description: plan.description ?? undefined,
          metadata: plan.metadata,
        },
        { key },
      );
    try {
      return reportOf(await forCustomerOf(running, key, create));
    } catch (error) {
      // Declined: the intent is there all the same, and can still be paid in another way.
      if (error instanceof StripeFailure && error.intent)
        return { intent: error.intent, clientSecret: null, refusal: error };
      throw error;
    }
  },

  async find({ stripe, plan, command, db }) {
    const { customerId, metadata } = plan;
    const accountId = command.stripeAccountId as AccountId;
    const known =
      customerId === null ? null : await db.transaction((em) => knownStripeCustomer(em, customerId, accountId));
    // The customer comes first: where there never was one, nothing was sent.
    if (customerId !== null && known === null && plan.stripeCustomerId === null) return null;
    // It may have been asked for with either of the two, where one was deleted meanwhile.
    const isSame = plan.stripeCustomerId === null || plan.stripeCustomerId === known;
    const intent = await stripe.findPaymentIntent({
      metadata: { [paymentKey]: metadata[paymentKey]! },
      since: command.sentAt ?? command.createdAt,
      ...(known && isSame && { customerId: known }),
    });
    return intent && reportOf(intent);
  },

  async apply(em, { command, plan }, { intent, refusal }, fetched) {
    const accountId = command.stripeAccountId as AccountId;
    const order = await recordIntent(em, intent, { accountId, asOf: stampOf(intent), fetched });
    if (order === 'unclear') return 'again';
    if (plan.confirm && paymentStatusOf(intent) === PaymentStatus.FAILED)
      return declined(command.subjectId!, intent, refusal);
    return { paymentId: command.subjectId, stripePaymentIntentId: intent.id, stripeAccountId: accountId };
  },

  async reject(em, { command }, { code, message, facts, sent }, isSettledAtOnce) {
    const id = command.subjectId as Uuid;
    const payment = await em.findOneOrFail(Payment, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    const failure = { code: facts.stripeCode ?? code.toLowerCase(), declineCode: facts.declineCode, message };
    // From an account that is disconnected nobody hears whether there is an intent.
    const isLost = code === 'ACCOUNT_DISCONNECTED' && sent !== 'never' && !isSettledAtOnce;
    if (code === 'CARD_DECLINED' || code === 'PAYMENT_ACTION_REQUIRED' || isLost) payment.decline(failure);
    else if (!isSettledAtOnce) payment.giveUp(failure);
    else {
      // Nobody has heard of it yet, and Stripe has nothing of it: it never was a payment.
      em.remove(payment);
      const { actor } = command;
      audit(em, { actor, action: 'payment.refused', subjectType: 'payment', subjectId: id, details: { code } });
      return;
    }
    return { paymentId: id };
  },

  version: (em, { command }) => paymentVersion(em, { id: command.subjectId! }),
  details: ({ subjectId }) => ({ paymentId: subjectId! }),
};

/** Who Stripe knows of those that may pay: the customer that is named, the invoice's, the saved method's. */
function knownPayers(
  em: EntityManager,
  { invoiceId, paymentMethodId, customerId }: Pick<CreatePayment, 'invoiceId' | 'paymentMethodId' | 'customerId'>,
): Promise<KnownPayer[]> {
  return em.execute<KnownPayer[]>(
    `select customer_id as "customerId", stripe_account_id as "accountId", stripe_customer_id as id from stripe_customers
     where deleted_at is null and customer_id in (
       select ?::int union select customer_id from invoices where id = ? union select customer_id from payment_methods where id = ?)`,
    [customerId, invoiceId, paymentMethodId],
  );
}

function reportOf(intent: PaymentIntent): PaymentReport {
  return { intent: intentReport(intent), clientSecret: intent.client_secret };
}

/** Time has passed since the command was prepared: an account that was given up meanwhile takes no payments. */
async function requireConnection({ db, command }: Running<PaymentPlan>): Promise<void> {
  const config = await db.transaction((em) => stripeConfigOf(em));
  if (config?.stripeAccountId !== command.stripeAccountId || config?.disconnectedAt)
    throw new StripeFailure('ACCOUNT_DISCONNECTED', 'The Stripe account is disconnected.', 'never');
}

function forCustomerOf<T>(
  { plan, command, commands }: Running<PaymentPlan>,
  key: string,
  ask: (customerId: CustomerId | undefined, key: string) => Promise<T>,
): Promise<T> {
  const { customerId, stripeCustomerId: known } = plan;
  if (customerId === null) return ask(undefined, key);
  const accountId = command.stripeAccountId as AccountId;
  return withStripeCustomer(commands, { customerId, accountId, known, actor: command.actor }, key, ask);
}

interface Asked {
  readonly amount: number;
  readonly currency: string;
  readonly customerId: number | null;
  readonly description: string | null;
}

function freePayment({ amount, currency, customerId, description }: CreatePayment): Asked {
  if (amount === null) throw badInput('input.amount', 'Without an invoice, an amount is needed.');
  if (currency === null) throw badInput('input.currency', 'Without an invoice, a currency is needed.');
  checkCurrency(currency, 'input.currency');
  checkAmount(amount, currency, 'input.amount');
  return { amount, currency, customerId, description };
}

/** What is due on an invoice, or a part of it. */
async function invoicePayment(
  em: EntityManager,
  params: CreatePayment,
  invoice: Invoice | null,
  open: readonly OpenPayment[],
): Promise<Asked> {
  if (!invoice) throw notFound('invoice', 'input.invoiceId');
  const { customerId, currency } = invoice;
  if (params.currency !== null && params.currency !== currency)
    throw badInput('input.currency', `The invoice is in ${currency}.`);
  if (params.customerId !== null && params.customerId !== customerId)
    throw badInput('input.customerId', 'The invoice is for another customer.');
  if (params.amount !== null) checkAmount(params.amount, currency, 'input.amount');
  // A second intent beside Stripe's own would take the money twice.
  if (invoice.isCycle)
    throw new AppError('INVALID_STATE', "Stripe collects this invoice itself: it is a subscription's.", {
      field: 'input.invoiceId',
    });
  if (invoice.status !== InvoiceStatus.OPEN)
    throw new AppError('INVALID_STATE', `The invoice is ${invoice.status.toLowerCase()}: it cannot be paid.`, {
      field: 'input.invoiceId',
    });
  const due = invoice.dueMinor - underWay(open);
  if (due <= 0)
    throw new AppError('INVALID_STATE', 'Nothing is due: what is owed is already on its way.', {
      field: 'input.invoiceId',
    });
  const amount = params.amount ?? due;
  if (amount > due) throw badInput('input.amount', `At most ${due} is due.`);
  checkAmount(amount, currency, 'input.amount');
  // From now on this money is on its way: what only waits, and does not fit beside it, must not be paid as well.
  if (params.confirm) await cancelSuperseded(em, { id: invoice.id, dueMinor: invoice.dueMinor - amount }, open);
  return { amount, currency, customerId, description: `Invoice ${invoice.number}` };
}

function usableMethod(method: PaymentMethod | null, customerId: number | null, offSession: boolean): PaymentMethod {
  const field = 'input.paymentMethodId';
  if (!method) throw notFound('payment method', field);
  if (customerId !== null && method.customerId !== customerId)
    throw badInput(field, 'The payment method is of another customer.');
  if (method.status === PaymentMethodStatus.DETACHED)
    throw new AppError('INVALID_STATE', 'The payment method was removed.', { field });
  // Who is there can agree anew.
  if (offSession) requireMandate(method, field);
  return method;
}

/** The error for a try that Stripe made and the issuer declined. */
function declined(paymentId: string, { lastError }: IntentReport, refusal: StripeFailure | undefined): AppError {
  const { code, declineCode, message } = lastError ?? { code: null, declineCode: null, message: null };
  const details = {
    paymentId,
    ...(code && { stripeCode: code }),
    ...(declineCode && { declineCode }),
    ...(refusal?.facts.stripeRequestId && { stripeRequestId: refusal.facts.stripeRequestId }),
  };
  return code === 'authentication_required'
    ? new AppError('PAYMENT_ACTION_REQUIRED', message ?? 'The payer must confirm this payment.', details)
    : new AppError('CARD_DECLINED', message ?? 'The payment was declined.', details);
}
