import { createHash } from 'node:crypto';
import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { formatMoney } from '../../shared/money.js';
import { audit } from '../audit/audit.js';
import { Invoice, InvoiceStatus } from '../invoices/invoice.entity.js';
import { stripeConfigOf } from '../onboarding/connected-account.js';
import { type StripeConfig } from '../onboarding/stripe-config.entity.js';
import { Payment } from '../payments/payment.entity.js';
import { type PaymentService } from '../payments/payment.service.js';
import { isFinalStatus, PaymentStatus } from '../payments/payment-state.js';
import { openPayments, underWay } from '../payments/superseded.js';
import { Tenant } from '../tenants/tenant.entity.js';
import { type PayLinks } from './pay-links.js';

/** Who asks for the payments of the page: nobody's token stands behind them. */
export const payPageActor = 'pay page';

/** Written on the payments that the page asked for, so that it shows nobody the failures of others. */
const pageMark = { source: 'pay-page' };

/**
 * What the page can say of an invoice: `open` waits to be paid, `failed` also says why the last attempt on this page did not work, `processing`
 * has all that is due on its way, `unavailable` is not to be paid here, `not-ready` cannot be paid yet.
 */
export type PayState = 'open' | 'failed' | 'processing' | 'paid' | 'void' | 'unavailable' | 'not-ready';

/** What everybody with the link may see. */
export interface PayView {
  readonly state: PayState;
  readonly tenantName: string;
  readonly invoiceNumber: string;
  readonly total: string;
  readonly paid: string | null;
  /** Formatted: `USD 100.00`. */
  readonly due: string;
  readonly dueMinor: number;
  readonly currency: string;
  readonly dueAt: Date | null;
  /** Whether Stripe collects it by an intent of its own, which is there before anybody pays. */
  readonly isCycle: boolean;
  /** The account that is paid; null before there is one. Stripe.js needs it, and it is no secret. */
  readonly stripeAccountId: string | null;
  /** Why the last attempt failed, in Stripe's words for payers. */
  readonly reason: string | null;
}

/** What Stripe.js confirms a payment with. */
export interface PayIntent {
  readonly clientSecret: string;
  readonly publishableKey: string;
  readonly stripeAccountId: string;
}

export interface PayLinkRequest {
  readonly invoiceId: number;
  readonly expiresInHours: number;
}

/** A quarter of a year: reminders may carry the link that the invoice came with. */
const longestHours = 2_160;

/** Makes links for the invoices of one tenant, and serves the page behind them. */
export class PayPageService {
  constructor(
    private readonly db: TenantDb,
    private readonly payments: PaymentService,
    private readonly links: PayLinks,
    private readonly actor: string,
  ) {}

  /**
   * A link under which an invoice is paid without a login. Each call makes a new one; the earlier ones keep working until they expire.
   * @throws AppError BAD_USER_INPUT · NOT_FOUND · INVALID_STATE for an invoice that is not open
   */
  createLink({
    invoiceId,
    expiresInHours,
  }: PayLinkRequest): Promise<{ readonly url: string; readonly expiresAt: Date }> {
    if (!Number.isInteger(expiresInHours) || expiresInHours < 1 || expiresInHours > longestHours)
      throw badInput('input.expiresInHours', `A link lives for 1 to ${longestHours} hours.`);
    const { tenantId, livemode } = this.db;
    return this.db.transaction(async (em) => {
      const invoice = await em.findOne(Invoice, { id: invoiceId });
      if (!invoice) throw notFound('invoice', 'input.invoiceId');
      const field = 'input.invoiceId';
      if (invoice.status !== InvoiceStatus.OPEN)
        throw new AppError('INVALID_STATE', `The invoice is ${invoice.status.toLowerCase()}: it cannot be paid.`, {
          field,
        });
      const link = this.links.create({ tenantId, invoiceId, livemode }, expiresInHours * 3_600_000);
      audit(em, {
        actor: this.actor,
        action: 'invoice.pay-link',
        subjectType: 'invoice',
        subjectId: String(invoiceId),
        details: { expiresAt: link.expiresAt.toISOString() },
      });
      return link;
    });
  }

  /** What the page shows; null when there is no such invoice any more. */
  view(invoiceId: number): Promise<PayView | null> {
    return this.db.transaction(async (em) => {
      const invoice = await em.findOne(Invoice, { id: invoiceId });
      const tenant = await em.findOne(Tenant, { id: this.db.tenantId });
      if (!invoice || !tenant) return null;
      const payments = await paymentsOf(em, invoiceId);
      const config = await stripeConfigOf(em);
      const moving = underWay(await openPayments(em, invoiceId));
      const state = stateOf(invoice, moving, payments, config);
      const { currency, totalMinor, amountPaidMinor, dueMinor, dueAt } = invoice;
      const last = payments.find(isOfPage);
      return {
        state,
        tenantName: tenant.name,
        invoiceNumber: invoice.number,
        total: formatMoney(totalMinor, currency),
        paid: amountPaidMinor > 0 ? formatMoney(amountPaidMinor, currency) : null,
        due: formatMoney(dueMinor, currency),
        ...{ dueMinor, currency, dueAt, isCycle: invoice.isCycle },
        stripeAccountId: config?.stripeAccountId ?? null,
        reason: state === 'failed' ? (last?.failureMessage ?? 'The payment did not go through.') : null,
      };
    });
  }

  /**
   * The intent over what is due. However often the page is loaded, and by however many links, it is the same one until it is settled or what is
   * due changes; what an older page still offers is then given up. Two open pages cannot take the money twice, unless both are confirmed within
   * the moment that giving up takes. The invoice of a cycle has one intent of Stripe's own.
   * @throws AppError as {@link PaymentService.createPaymentIntent}; INVALID_STATE when there is nothing to pay
   */
  async intent(invoiceId: number): Promise<PayIntent> {
    const { amount, attempt, isCycle } = await this.db.transaction(async (em) => {
      const invoice = await em.findOne(Invoice, { id: invoiceId });
      if (!invoice) throw notFound('invoice');
      const payments = await paymentsOf(em, invoiceId);
      const amount = invoice.dueMinor - underWay(await openPayments(em, invoiceId));
      return { amount, attempt: await attemptOf(em, invoiceId, payments), isCycle: invoice.isCycle };
    });
    if (amount <= 0) throw new AppError('INVALID_STATE', 'Nothing is due.');
    if (isCycle) return this.payments.cycleIntent(invoiceId, amount, pageMark);
    const asked = await this.payments.createPaymentIntent({
      idempotencyKey: `${keyOf(invoiceId)}:${attempt}:${amount}`,
      ...{ invoiceId, amount, metadata: pageMark },
      ...{ customerId: null, currency: null, paymentMethodId: null, description: null },
      ...{ confirm: false, offSession: false, savePaymentMethod: false, captureLater: false },
    });
    const clientSecret = await this.payments.clientSecret(asked);
    if (clientSecret === null) throw new Error('Stripe gave no client secret.');
    const { publishableKey, stripeAccountId } = asked;
    return { clientSecret, publishableKey, stripeAccountId };
  }
}

/** Newest first. */
function paymentsOf(em: EntityManager, invoiceId: number): Promise<Payment[]> {
  return em.find(Payment, { invoiceId }, { orderBy: { createdAt: 'desc', id: 'desc' }, limit: 100 });
}

/** @param moving minor units that are held or on their way */
function stateOf(
  invoice: Invoice,
  moving: number,
  payments: readonly Payment[],
  config: StripeConfig | null,
): PayState {
  switch (invoice.status) {
    case InvoiceStatus.PAID:
      return 'paid';
    case InvoiceStatus.VOID:
    case InvoiceStatus.UNCOLLECTIBLE:
      return 'void';
    case InvoiceStatus.DRAFT:
      return 'unavailable';
    case InvoiceStatus.OPEN:
  }
  if (invoice.dueMinor - moving <= 0) return invoice.dueMinor > 0 ? 'processing' : 'paid';
  if (!config?.chargesEnabled || config.disconnectedAt) return 'not-ready';
  return payments.find(isOfPage)?.status === PaymentStatus.FAILED ? 'failed' : 'open';
}

function isOfPage({ metadata }: Payment): boolean {
  return metadata.source === pageMark.source;
}

function keyOf(invoiceId: number): string {
  // A hash, so that no client's own key meets it by chance.
  return `pay-page:${createHash('sha256').update(`pay page of invoice ${invoiceId}`).digest('base64url').slice(0, 22)}`;
}

/** Counts what was settled or refused: after that a new intent is needed. What only failed is tried again with the same one. */
async function attemptOf(em: EntityManager, invoiceId: number, payments: readonly Payment[]): Promise<number> {
  const [refused] = await em.execute<{ count: string }[]>(
    `select count(*) as count from commands where state = 'FAILED' and starts_with(idempotency_key, ?)`,
    [`${keyOf(invoiceId)}:`],
  );
  return Number(refused!.count) + payments.filter(({ status }) => isFinalStatus(status)).length;
}
