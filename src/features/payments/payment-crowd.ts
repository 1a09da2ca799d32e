import { type TenantRows } from '../../db/many-tenants.js';
import { type AppliedMany } from '../../jobs/events.js';
import { isUuid } from '../../shared/uuid.js';
import { type ChargeReport, type IntentReport } from '../../stripe/reports.js';
import { type AccountId } from '../../stripe/types.js';
import { type Invoice } from '../invoices/invoice.entity.js';
import { followPayments, isSameShare, type Share, shareOf, sumsOf } from './invoice-share.js';
import { type Payment } from './payment.entity.js';
import { paymentKey } from './payment-record.js';
import { lockInSets, type LockedPayments, writeInSets } from './payment-rows.js';
import { isFinalStatus } from './payment-state.js';

/** What Stripe reported of an intent, or of its charge. */
export interface PaymentNews {
  readonly report: IntentReport | ChargeReport;
  readonly accountId: AccountId;
  /** Stripe's stamp of the report. */
  readonly asOf: Date;
}

/**
 * Records many reports of one tenant's payments as {@link recordIntent} and {@link recordCharge} do one by one: of payments that are known by
 * their intent, which is nearly all. Where something has to be looked for or adopted, it is left to those.
 * @param news in order
 */
export async function recordMany(rows: TenantRows, news: readonly PaymentNews[]): Promise<AppliedMany[]> {
  const intents = new Set<string>();
  for (const { report } of news) {
    const id = intentOf(report);
    if (id) intents.add(id);
  }
  if (intents.size === 0) return news.map(({ report }) => withoutIntent(report));
  const locked = await lockInSets(rows, [...intents]);
  const heldBack = new Map<string, AppliedMany>();
  const outcomes = news.map((one): AppliedMany => {
    const id = intentOf(one.report);
    if (!id) return withoutIntent(one.report);
    const outcome = heldBack.get(id) ?? record(locked, id, one);
    if (outcome !== 'done') heldBack.set(id, outcome);
    return outcome;
  });
  writeInSets(rows, locked);
  return outcomes;
}

/** The intent that a report says something of. A charge without one, or one that failed, tells nothing: see {@link recordCharge}. */
function intentOf(report: IntentReport | ChargeReport): string | null {
  if (!isCharge(report)) return report.id;
  return report.status === 'succeeded' ? report.paymentIntentId : null;
}

/** Of such a charge nothing is to be recorded; an intent without an id is for `apply` to refuse. */
function withoutIntent(report: IntentReport | ChargeReport): AppliedMany {
  return isCharge(report) ? 'done' : 'single';
}

function isCharge(report: IntentReport | ChargeReport): report is ChargeReport {
  return 'paymentIntentId' in report;
}

function record(locked: LockedPayments, intentId: string, { report, accountId, asOf }: PaymentNews): AppliedMany {
  const payment = locked.payments.get(intentId);
  const marked = report.metadata[paymentKey];
  if (!payment || payment.stripeAccountId !== accountId || (isUuid(marked) && marked !== payment.id)) return 'single';
  const invoice = payment.invoiceId === null ? null : locked.invoices.get(payment.invoiceId);
  if (invoice === undefined || (invoice && mayBeSuperseded(locked, invoice, payment))) return 'single';
  if (isCharge(report) && payment.lacksBooking(report)) return 'fetch';
  const before = shareOf(payment);
  const order = isCharge(report) ? payment.applyCharge(report, asOf, false) : payment.applyIntent(report, asOf, false);
  if (invoice && !isSameShare(shareOf(payment), before)) {
    const shares = sharesOf(locked, invoice.id);
    const attempts = invoice.isCycle ? locked.attempts.get(invoice.id) : undefined;
    if (attempts !== undefined) invoice.followCycle(sumsOf(shares), attempts);
    else followPayments(invoice, shares, payment.amountReceived - before.received, asOf);
  }
  return order === 'unclear' ? 'fetch' : 'done';
}

/** Whether an invoice may have no room left for something that is still open. That is to be given up: see {@link cancelSuperseded}. */
function mayBeSuperseded(locked: LockedPayments, invoice: Invoice, payment: Payment): boolean {
  if (invoice.isCycle) return false;
  const isTooMuch = !payment.isFinal && payment.amountMinor > invoice.dueMinor;
  return isTooMuch || sharesOf(locked, invoice.id, payment).some(({ status }) => !isFinalStatus(status));
}

/** What an invoice's payments amount to by now: those that are in the crowd as they have become. */
function sharesOf({ shares, byId }: LockedPayments, invoiceId: number, without?: Payment): Share[] {
  const all = shares.get(invoiceId) ?? [];
  const some = without ? all.filter(({ paymentId }) => paymentId !== without.id) : all;
  return some.map((share) => {
    const payment = byId.get(share.paymentId);
    return payment ? shareOf(payment) : share;
  });
}
