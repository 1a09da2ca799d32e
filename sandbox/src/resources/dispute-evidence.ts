import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, missing } from '../errors.js';
import { type Params, p, shapes } from '../params.js';

const texts = [
  'access_activity_log',
  'billing_address',
  'cancellation_policy_disclosure',
  'cancellation_rebuttal',
  'customer_email_address',
  'customer_name',
  'customer_purchase_ip',
  'duplicate_charge_explanation',
  'duplicate_charge_id',
  'product_description',
  'refund_policy_disclosure',
  'refund_refusal_explanation',
  'service_date',
  'shipping_address',
  'shipping_carrier',
  'shipping_date',
  'shipping_tracking_number',
  'uncategorized_text',
] as const;
const files = [
  'cancellation_policy',
  'customer_communication',
  'customer_signature',
  'duplicate_charge_documentation',
  'receipt',
  'refund_policy',
  'service_documentation',
  'shipping_documentation',
  'uncategorized_file',
] as const;

/** All fields together. {@link https://docs.stripe.com/api/disputes/update#update_dispute-evidence} */
const mostCharacters = 150_000;

const fieldsOf = <N extends string>(names: readonly N[]) =>
  Object.fromEntries(names.map((name) => [name, p.evidenceText()])) as Record<N, ReturnType<typeof p.evidenceText>>;

const priorTransaction = {
  customer_account_id: p.string().clearable(),
  customer_device_fingerprint: p.string().clearable(),
  customer_device_id: p.string().clearable(),
  customer_email_address: p.string().clearable(),
  customer_purchase_ip: p.string().clearable(),
  product_description: p.string().clearable(),
  shipping_address: p.hash(shapes.address),
};

/** `evidence` of an update. */
export const evidenceParams = p.hash({
  ...fieldsOf(texts),
  ...fieldsOf(files),
  appeal: p.record(p.any()).clearable(),
  enhanced_evidence: p
    .hash({
      mastercard_compliance: p.hash({ fee_acknowledged: p.boolean() }),
      visa_compelling_evidence_3: p.hash({
        disputed_transaction: p.hash({
          ...priorTransaction,
          merchandise_or_services: p.enum('merchandise', 'services'),
        }),
        prior_undisputed_transactions: p.array(p.hash({ ...priorTransaction, charge: p.string().required() })),
      }),
      visa_compliance: p.hash({ fee_acknowledged: p.boolean() }),
    })
    .clearable(),
});
type EvidenceParams = Exclude<ReturnType<typeof evidenceParams.parse>, null>;

/** Evidence with nothing in it yet. */
export function noEvidence(): Stripe.Dispute.Evidence {
  return {
    ...(Object.fromEntries([...texts, ...files].map((name) => [name, null])) as unknown as Stripe.Dispute.Evidence),
    enhanced_evidence: {},
  };
}

/**
 * Takes over what an update says about the evidence; an empty text takes a field back.
 * @throws StripeError 404 for a file that is not there, 400 for one of another purpose and for too many characters
 */
export function applyEvidence(ctx: Context, evidence: Stripe.Dispute.Evidence, given: EvidenceParams): void {
  for (const name of files) {
    const id = given[name];
    if (!id) continue;
    const file = ctx.table('file').get(id);
    if (!file) throw missing('file upload', id, `evidence[${name}]`);
    if (file.purpose !== 'dispute_evidence' && file.purpose !== 'customer_signature')
      throw invalid(
        `The file ${id} was uploaded with purpose ${file.purpose}, not dispute_evidence.`,
        `evidence[${name}]`,
      );
  }
  const { enhanced_evidence: enhanced, appeal: _appeal, ...plain } = given;
  const next = { ...evidence, ...plain };
  const characters = texts.reduce((sum, name) => sum + (next[name] ?? '').length, 0);
  if (characters > mostCharacters)
    throw invalid(`The combined character count of all evidence fields is limited to ${mostCharacters}.`, 'evidence');
  Object.assign(evidence, plain);
  if (enhanced === null) evidence.enhanced_evidence = {};
  else if (enhanced) Object.assign(evidence.enhanced_evidence, completed(enhanced));
}

type Enhanced = NonNullable<NonNullable<EvidenceParams>['enhanced_evidence']>;

function completed(enhanced: Enhanced): Stripe.Dispute.Evidence.EnhancedEvidence {
  const { visa_compelling_evidence_3: visa, ...rest } = enhanced;
  const side = (given: Params<typeof priorTransaction>) => ({
    customer_account_id: null,
    customer_device_fingerprint: null,
    customer_device_id: null,
    customer_email_address: null,
    customer_purchase_ip: null,
    product_description: null,
    shipping_address: null,
    ...given,
  });
  return {
    ...(rest as Stripe.Dispute.Evidence.EnhancedEvidence),
    ...(visa && {
      visa_compelling_evidence_3: {
        disputed_transaction: visa.disputed_transaction
          ? { merchandise_or_services: null, ...side(visa.disputed_transaction) }
          : null,
        prior_undisputed_transactions: (visa.prior_undisputed_transactions ?? []).map((prior) => ({
          ...side(prior),
          charge: prior.charge,
        })),
      } as Stripe.Dispute.Evidence.EnhancedEvidence.VisaCompellingEvidence3,
    }),
  };
}

/** Whether anything at all has been said. */
export function hasEvidence(evidence: Stripe.Dispute.Evidence): boolean {
  return [...texts, ...files].some((name) => evidence[name] !== null);
}
