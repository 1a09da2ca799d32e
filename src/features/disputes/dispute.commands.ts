import { type EntityManager } from '@mikro-orm/postgresql';
import { type Command } from '../../jobs/commands/command.entity.js';
import { type AnyCommandKind, type CommandKind } from '../../jobs/commands/kind.js';
import { AppError, notFound } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { disputeReport, type DisputeReport } from '../../stripe/disputes.js';
import { type AccountId, type DisputeId, type FileId } from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { connectedAccount } from '../onboarding/connected-account.js';
import { DisputeState } from '../payments/payment-state.js';
import { Dispute } from './dispute.entity.js';
import { disputeVersion, recordDispute } from './dispute-record.js';
import { type EvidenceText, type FileOfEvidence, stripeName, typeOf } from './evidence.js';

export interface SubmitEvidence {
  readonly disputeId: Uuid;
  readonly texts: Readonly<Partial<Record<EvidenceText, string>>>;
  readonly files: readonly FileOfEvidence[];
  /** Whether it goes to the bank now. */
  readonly submit: boolean;
}

/** The dispute as a command needs it. */
interface DisputePlan {
  readonly paymentId: Uuid;
  readonly stripeDisputeId: DisputeId;
}

interface EvidencePlan extends DisputePlan {
  readonly texts: SubmitEvidence['texts'];
  readonly files: SubmitEvidence['files'];
  readonly submit: boolean;
}

/** Says at Stripe which command wrote evidence last. Only one is under way at a time. */
const evidenceKey = 'psa_evidence_id';

/** Gives evidence to Stripe and, if wanted, to the bank. */
export const submitEvidence: CommandKind<SubmitEvidence, EvidencePlan, DisputeReport> = {
  name: 'disputes.submit-evidence',

  async prepare(em, { disputeId, texts, files, submit }, command) {
    const dispute = await lockForChange(em, disputeId, command);
    if (!dispute.awaitsAnswer)
      throw wrongState(dispute, 'does not wait for evidence: it is answered already, or decided');
    if (dispute.pastDue) throw wrongState(dispute, 'is past its deadline');
    const fields = [...Object.keys(texts), ...files.map(({ kind }) => kind)];
    note(em, command, 'dispute.evidence', { fields, submit });
    return { ...planOf(dispute), texts, files, submit };
  },

  async send({ stripe, plan, command }, key) {
    const evidence: Record<string, string> = {};
    for (const [name, text] of Object.entries(plan.texts)) evidence[stripeName(name as EvidenceText)] = text;
    for (const { kind, stripeFileId, filename, content } of plan.files)
      evidence[kind.toLowerCase()] = stripeFileId ?? (await upload(kind, filename!, content!));
    const dispute = await stripe.updateDispute(
      plan.stripeDisputeId,
      { evidence: evidence, submit: plan.submit, metadata: { [evidenceKey]: command.id } },
      { key },
    );
    return disputeReport(dispute);

    function upload(kind: string, name: string, base64: string): Promise<FileId> {
      const file = { filename: name, type: typeOf(name)!, data: Buffer.from(base64, 'base64') };
      return stripe.uploadEvidenceFile(file, { key: `${key}:${kind}` });
    }
  },

  async find({ stripe, plan, command }) {
    const report = disputeReport(await stripe.retrieveDispute(plan.stripeDisputeId));
    return report.metadata[evidenceKey] === command.id ? report : null;
  },

  apply: (em, { command, plan }, report, fetched) => settle(em, command, plan, report, fetched),
  reject: () => Promise.resolve(),
  version: (em, { plan }) => disputeVersion(em, { id: plan.paymentId }, plan.stripeDisputeId),
  details: ({ subjectId }) => ({ disputeId: subjectId! }),
  // What was said about a customer, Stripe keeps; here it is not needed any more.
  keep: ({ paymentId, stripeDisputeId, submit }) => ({ paymentId, stripeDisputeId, submit }),
};

/** Gives a dispute up. */
export const acceptDispute: CommandKind<{ disputeId: Uuid }, DisputePlan, DisputeReport> = {
  name: 'disputes.accept',
  // It is sent again only after a look that found it open; and a closed one cannot be closed twice.
  isRepeatable: true,

  async prepare(em, { disputeId }, command) {
    const dispute = await lockForChange(em, disputeId, command);
    if (dispute.isInquiry && dispute.awaitsAnswer)
      throw wrongState(dispute, 'is an inquiry, and nothing was taken: refund the payment instead');
    if (dispute.status !== DisputeState.NEEDS_RESPONSE)
      throw wrongState(dispute, 'cannot be given up: it is answered already, or decided');
    note(em, command, 'dispute.accept', { amount: dispute.amountMinor, currency: dispute.currency });
    return planOf(dispute);
  },

  async send({ stripe, plan }, key) {
    return disputeReport(await stripe.closeDispute(plan.stripeDisputeId, { key }));
  },

  async find({ stripe, plan }) {
    const report = disputeReport(await stripe.retrieveDispute(plan.stripeDisputeId));
    return report.status === 'needs_response' ? null : report;
  },

  async apply(em, { command, plan }, report, fetched) {
    const outcome = await settle(em, command, plan, report, fetched);
    if (outcome === 'again' || report.status === 'lost') return outcome;
    const state = report.status.replaceAll('_', ' ');
    return new AppError('INVALID_STATE', `The dispute is ${state}.`, { disputeId: command.subjectId });
  },

  reject: () => Promise.resolve(),
  version: (em, { plan }) => disputeVersion(em, { id: plan.paymentId }, plan.stripeDisputeId),
  details: ({ subjectId }) => ({ disputeId: subjectId! }),
};

/** For the recovery of commands that were cut off. */
export const disputeCommands: AnyCommandKind[] = [submitEvidence, acceptDispute];

async function lockForChange(em: EntityManager, id: Uuid, command: Command): Promise<Dispute> {
  const field = 'input.disputeId';
  const known = await em.findOne(Dispute, { id }, { disableIdentityMap: true });
  if (!known) throw notFound('dispute', field);
  await disputeVersion(em, { id: known.paymentId }, known.stripeDisputeId);
  const dispute = await em.findOneOrFail(Dispute, { id });
  const { stripeAccountId } = dispute;
  if ((await connectedAccount(em)).stripeAccountId !== stripeAccountId)
    throw new AppError('ACCOUNT_DISCONNECTED', 'The dispute is on an account that is disconnected.', { field });
  const [open] = await em.execute<{ id: string }[]>(
    `select id from commands where state in ('PENDING', 'UNKNOWN') and subject_id = ? and kind in (?, ?) limit 1`,
    [id, submitEvidence.name, acceptDispute.name],
  );
  // Neither could be told from the other at Stripe.
  if (open) throw new AppError('CONFLICT', 'Another change of this dispute is under way.', { field });
  command.subjectId = id;
  command.stripeAccountId = stripeAccountId;
  return dispute;
}

/** An answer carries no stamp, so what counts is what is read afterwards. */
async function settle(
  em: EntityManager,
  { subjectId, stripeAccountId }: Command,
  { paymentId }: DisputePlan,
  report: DisputeReport,
  fetched: boolean,
) {
  if (!fetched) return 'again' as const;
  await recordDispute(em, report, { accountId: stripeAccountId as AccountId, asOf: report.created, fetched });
  return { disputeId: subjectId, paymentId };
}

function planOf({ paymentId, stripeDisputeId }: Dispute): DisputePlan {
  return { paymentId, stripeDisputeId };
}

function note(
  em: EntityManager,
  { actor, subjectId }: Command,
  action: string,
  details: Record<string, unknown>,
): void {
  audit(em, { actor, action, subjectType: 'dispute', subjectId, details });
}

function wrongState({ status }: Dispute, what: string): AppError {
  const state = status.toLowerCase().replaceAll('_', ' ');
  return new AppError('INVALID_STATE', `The dispute (${state}) ${what}.`, { field: 'input.disputeId' });
}
