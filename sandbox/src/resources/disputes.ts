import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, missing } from '../errors.js';
import { newId } from '../ids.js';
import { listPage } from '../list.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { postBalanceTransaction } from './balance.js';
import { applyEvidence, evidenceParams, hasEvidence, noEvidence } from './dispute-evidence.js';
import { behaviourOf } from './payment-methods.js';
import { failRefund } from './refunds.js';

type Dispute = Stripe.Dispute;
const day = 86_400;

/** What Stripe takes for a dispute, minor units; it is not given back, even when the dispute is won. {@link https://stripe.com/pricing} */
const disputeFee = 1_500;
/** End of the eighth day after it was opened. */
const daysToRespond = 8;
/** The bank takes 60 to 75 days to decide. {@link https://docs.stripe.com/disputes/how-disputes-work} */
const daysToDecide = 75;
/** An inquiry that was never escalated is closed after this. {@link https://docs.stripe.com/disputes/how-disputes-work#inquiries-and-retrievals} */
const inquiryDays = 120;
/** A refund so young when the bank takes the money fails instead of being paid twice. */
const youngRefundSeconds = 60;

/** What the bank does next. */
type Outcome = 'won' | 'lost' | 'escalated' | 'warning_closed';

const networkReason: Record<string, string> = {
  fraudulent: '10.4',
  product_not_received: '13.1',
  product_unacceptable: '13.3',
  subscription_canceled: '13.2',
  duplicate: '12.6.1',
  credit_not_processed: '13.6',
  unrecognized: '10.4',
  general: '13.9',
};
const reasons = [
  'bank_cannot_process',
  'check_returned',
  'credit_not_processed',
  'customer_initiated',
  'debit_not_authorized',
  'duplicate',
  'fraudulent',
  'general',
  'incorrect_account_details',
  'insufficient_funds',
  'noncompliant',
  'product_not_received',
  'product_unacceptable',
  'subscription_canceled',
  'unrecognized',
] as const;

interface Opening {
  reason: string;
  /** Minor units; by default all of it. */
  amount?: number;
  /** The bank only asks; no money moves yet. */
  inquiry?: boolean;
  dueBy?: number;
}

/**
 * A customer's bank questions a charge. A chargeback takes the money and a fee at once, an inquiry takes nothing.
 * {@link https://docs.stripe.com/disputes/how-disputes-work}
 */
function openDispute(
  ctx: Context,
  charge: Stripe.Charge,
  { reason, amount, inquiry = false, dueBy }: Opening,
): Dispute {
  const plastic = charge.payment_method_details?.card;
  const code = inquiry ? '10' : (networkReason[reason] ?? '13.9');
  const dispute = ctx.table('dispute').insert({
    id: newId('dispute'),
    object: 'dispute',
    amount: amount ?? charge.amount_captured,
    balance_transactions: [],
    charge: charge.id,
    created: ctx.now,
    currency: charge.currency,
    enhanced_eligibility_types: [],
    evidence: noEvidence(),
    evidence_details: {
      // What a bank debit's bank says is final: there is nothing to respond to.
      due_by: plastic ? (dueBy ?? (Math.floor(ctx.now / day) + daysToRespond + 1) * day - 1) : null,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: 'not_submitted',
    },
    intended_submission_method: null,
    is_charge_refundable: inquiry,
    livemode: false,
    metadata: {},
    ...(plastic && { network_reason_code: code }),
    payment_intent: idOf(charge.payment_intent),
    ...(plastic && {
      payment_method_details: {
        card: {
          brand: plastic.brand ?? 'visa',
          case_type: inquiry ? 'inquiry' : 'chargeback',
          network: plastic.network ?? plastic.brand ?? 'visa',
          network_reason_code: code,
        },
        type: 'card',
      },
    }),
    reason,
    status: inquiry ? 'warning_needs_response' : 'needs_response',
  });
  charge.disputed = true;
  if (inquiry) {
    ctx.emit('charge.dispute.created', dispute);
    ctx.schedule(ctx.now + inquiryDays * day, 'dispute.inquiry_over', dispute.id);
  } else {
    withdraw(ctx, dispute);
    ctx.emit('charge.dispute.created', dispute);
    ctx.emit('charge.dispute.funds_withdrawn', dispute);
    if (!plastic) {
      close(ctx, dispute, 'lost');
      return dispute;
    }
  }
  ctx.schedule(dispute.evidence_details.due_by! + 1, 'dispute.overdue', dispute.id);
  return dispute;
}

function withdraw(ctx: Context, dispute: Dispute): void {
  const { currency, charge } = dispute;
  dispute.balance_transactions.push(
    postBalanceTransaction(ctx, {
      type: 'adjustment',
      amount: -dispute.amount,
      currency,
      source: dispute.id,
      description: `Chargeback withdrawal for ${idOf(charge)}`,
      fees: [{ amount: disputeFee, application: null, currency, description: 'Dispute fee', type: 'stripe_fee' }],
    }),
  );
}

const closedStates = new Set(['won', 'lost', 'warning_closed', 'prevented']);

/** The end of a dispute. What was won comes back; the fee does not. */
function close(ctx: Context, dispute: Dispute, status: 'won' | 'lost' | 'warning_closed'): void {
  dispute.status = status;
  dispute.is_charge_refundable = status !== 'lost';
  if (status === 'won') {
    dispute.balance_transactions.push(
      postBalanceTransaction(ctx, {
        type: 'adjustment',
        amount: dispute.amount,
        currency: dispute.currency,
        source: dispute.id,
        description: `Chargeback reversal for ${idOf(dispute.charge)}`,
        reportingCategory: 'dispute_reversal',
        availableOn: ctx.now,
      }),
    );
    ctx.emit('charge.dispute.funds_reinstated', dispute);
  }
  ctx.emit('charge.dispute.closed', dispute);
}

/** The bank was not satisfied with the answer to its inquiry and takes the money after all. */
function escalate(ctx: Context, dispute: Dispute): void {
  const charge = idOf(dispute.charge);
  ctx.change(dispute, 'charge.dispute.updated', () => {
    dispute.status = 'needs_response';
    dispute.is_charge_refundable = false;
    dispute.evidence_details.due_by = (Math.floor(ctx.now / day) + daysToRespond + 1) * day - 1;
    dispute.evidence_details.past_due = false;
    if (dispute.payment_method_details?.card) dispute.payment_method_details.card.case_type = 'chargeback';
    withdraw(ctx, dispute);
  });
  ctx.emit('charge.dispute.funds_withdrawn', dispute);
  ctx.schedule(dispute.evidence_details.due_by! + 1, 'dispute.overdue', dispute.id);
  for (const refund of ctx.table('refund').by('charge', charge)) {
    if (ctx.now - refund.created < youngRefundSeconds) failRefund(ctx, refund, 'charge_for_pending_refund_disputed');
  }
}

function decide(ctx: Context, dispute: Dispute, outcome: Outcome): void {
  if (closedStates.has(dispute.status)) return;
  const inquiry = dispute.status.startsWith('warning');
  if (outcome === 'escalated') {
    if (inquiry) escalate(ctx, dispute);
  } else if (inquiry) close(ctx, dispute, 'warning_closed');
  else close(ctx, dispute, outcome === 'won' ? 'won' : 'lost');
}

/** Evidence that decides, for tests. {@link https://docs.stripe.com/testing#evidence} */
const magic: Record<string, Outcome> = {
  winning_evidence: 'won',
  losing_evidence: 'lost',
  escalate_inquiry_evidence: 'escalated',
};

const updateParams = {
  evidence: evidenceParams,
  intended_submission_method: p.enum('manual', 'prefer_manual', 'prefer_smart_disputes', 'smart_disputes'),
  metadata: p.metadata(),
  submit: p.boolean(),
};

function requireOpen(ctx: Context, id: string): Dispute {
  const dispute = ctx.table('dispute').require(id, 'dispute');
  if (closedStates.has(dispute.status)) throw invalid('This dispute is already closed');
  return dispute;
}

/** `submit: false` only stages evidence; it goes to the bank with the next update that does not say so. */
function update(ctx: Context, params: Params<typeof updateParams>, id: string): Dispute {
  const dispute = requireOpen(ctx, id);
  const { evidence, submit, intended_submission_method: method, metadata } = params;
  const next = JSON.parse(JSON.stringify(dispute.evidence)) as Stripe.Dispute.Evidence;
  if (evidence) applyEvidence(ctx, next, evidence);
  // A change of metadata alone sends nothing to the bank.
  const submits = submit ?? evidence !== undefined;
  ctx.change(dispute, 'charge.dispute.updated', () => {
    dispute.evidence = next;
    dispute.evidence_details.has_evidence = hasEvidence(next);
    if (method) dispute.intended_submission_method = method;
    dispute.metadata = mergeMetadata(dispute.metadata, metadata);
    if (!submits) return;
    dispute.evidence_details.submission_count++;
    dispute.evidence_details.submission_method = 'manual';
    dispute.status = dispute.status.startsWith('warning') ? 'warning_under_review' : 'under_review';
  });
  if (!submits) return dispute;
  const outcome = magic[next.uncategorized_text?.trim() ?? ''];
  ctx.sandbox.scheduler.cancel(dispute.id, 'dispute.overdue');
  if (outcome) {
    ctx.secret<{ outcome: Outcome }>(dispute.id).outcome = outcome;
    ctx.schedule(
      ctx.sandbox.clock.unpinned() + (2 * ctx.sandbox.options.settleMs) / 1000,
      'dispute.decide',
      dispute.id,
    );
  } else if (dispute.status === 'under_review')
    ctx.schedule(ctx.now + daysToDecide * day, 'dispute.verdict', dispute.id);
  return dispute;
}

const path = '/v1/disputes';

/** Disputes. {@link https://docs.stripe.com/api/disputes} */
export const disputes: Resource = {
  expandable: [
    'dispute',
    'cancellation_policy',
    'customer_communication',
    'customer_signature',
    'duplicate_charge_documentation',
    'receipt',
    'refund_policy',
    'service_documentation',
    'shipping_documentation',
    'uncategorized_file',
  ],
  hooks: {
    chargeSucceeded: (ctx, charge) => {
      const { dispute, debit } = behaviourOf(ctx, charge.payment_method);
      if (debit === 'disputed') openDispute(ctx, charge, { reason: 'debit_not_authorized' });
      else if (dispute === 'inquiry') openDispute(ctx, charge, { reason: 'fraudulent', inquiry: true });
      else if (dispute) openDispute(ctx, charge, { reason: dispute });
    },
    // The bank asked, the money went back: there is nothing left to ask for.
    chargeRefunded: (ctx, charge) => {
      if (!charge.refunded) return;
      for (const dispute of ctx.table('dispute').by('charge', charge.id))
        if (dispute.status.startsWith('warning_') && dispute.status !== 'warning_closed')
          close(ctx, dispute, 'warning_closed');
    },
  },
  due: {
    'dispute.decide': (ctx, { ref }) => {
      const dispute = ctx.table('dispute').get(ref);
      const { outcome } = ctx.secret<{ outcome: Outcome }>(ref);
      if (dispute && outcome) decide(ctx, dispute, outcome);
    },
    'dispute.overdue': (ctx, { ref }) => {
      const dispute = ctx.table('dispute').get(ref);
      const due = dispute?.evidence_details.due_by ?? null;
      if (!dispute || due === null || due >= ctx.now) return;
      if (dispute.status === 'needs_response') {
        dispute.evidence_details.past_due = true;
        close(ctx, dispute, 'lost');
      } else if (dispute.status === 'warning_needs_response')
        ctx.change(dispute, 'charge.dispute.updated', () => (dispute.evidence_details.past_due = true));
    },
    'dispute.verdict': (ctx, { ref }) => {
      const dispute = ctx.table('dispute').get(ref);
      if (dispute?.status === 'under_review') close(ctx, dispute, 'lost');
    },
    'dispute.inquiry_over': (ctx, { ref }) => {
      const dispute = ctx.table('dispute').get(ref);
      if (dispute?.status.startsWith('warning_')) decide(ctx, dispute, 'warning_closed');
    },
  },
  routes: [
    route(
      'GET',
      path,
      { ...listParams, charge: p.string(), created: p.range(), payment_intent: p.string() },
      (ctx, { charge, created, payment_intent: intent, ...page }) =>
        listPage(
          charge === undefined ? ctx.table('dispute') : ctx.table('dispute').by('charge', charge).reverse(),
          path,
          page,
          (dispute) => inRange(dispute.created, created) && (intent === undefined || dispute.payment_intent === intent),
        ),
    ),
    route('GET', '/v1/disputes/:id', {}, (ctx, _params, { id }) => ctx.table('dispute').require(id, 'dispute')),
    route('POST', '/v1/disputes/:id', updateParams, (ctx, params, { id }) => update(ctx, params, id)),
    /** Accepts it: irreversible. */
    route('POST', '/v1/disputes/:id/close', {}, (ctx, _params, { id }) => {
      const dispute = requireOpen(ctx, id);
      decide(ctx, dispute, 'lost');
      return dispute;
    }),
    /** Opens a dispute on any charge. */
    route(
      'POST',
      '/_control/disputes',
      {
        charge: p.string().required(),
        reason: p.enum(...reasons),
        amount: p.int(),
        inquiry: p.boolean(),
        due_by: p.timestamp(),
      },
      (ctx, { charge: id, reason = 'fraudulent', due_by: dueBy, ...rest }) => {
        for (const { account } of ctx.sandbox.store.all()) {
          const own = ctx.on(account);
          const charge = own.table('charge').get(id);
          if (!charge) continue;
          if (charge.status !== 'succeeded' || !charge.captured)
            throw invalid('Only a charge that has succeeded can be disputed.', 'charge');
          return openDispute(own, charge, { reason, ...rest, ...(dueBy !== undefined && { dueBy }) });
        }
        throw missing('charge', id, 'charge');
      },
      'public',
    ),
    /** What the bank decides, whatever the evidence. */
    route(
      'POST',
      '/_control/disputes/:id',
      { outcome: p.enum('won', 'lost', 'escalated', 'warning_closed').required() },
      (ctx, { outcome }, { id }) => {
        for (const { account } of ctx.sandbox.store.all()) {
          const own = ctx.on(account);
          const dispute = own.table('dispute').get(id);
          if (!dispute) continue;
          decide(own, dispute, outcome);
          return dispute;
        }
        throw missing('dispute', id);
      },
      'public',
    ),
  ],
};
