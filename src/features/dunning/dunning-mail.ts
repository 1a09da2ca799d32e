import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { enqueueMail } from '../mail/outbox.js';
import { type PayLinks } from '../pay-page/pay-links.js';
import { askAfter } from './decline-codes.js';
import { stepKey } from './dunning-cases.js';
import { type Facts } from './dunning-facts.js';
import { DunningEnd, DunningRetries } from './dunning-settings.entity.js';
import { type Step } from './dunning-steps.js';

/** What a step has to tell. */
interface Notice {
  readonly facts: Facts;
  readonly step: Step;
  /** What comes after it. */
  readonly next: Step | null;
  readonly declineCode: string | null;
  readonly payLinks: PayLinks;
}

/** Longer than any schedule goes on. */
const linkLifeMs = 60 * 86_400_000;

/** Tells the customer, once for the step, in the transaction that ends it. */
export async function mailNotice(
  em: EntityManager,
  { facts, step, next, declineCode, payLinks }: Notice,
): Promise<void> {
  const { id, email, customerId, end, retries } = facts;
  if (!facts.emails || !email) return;
  const isOver = step.kind === 'END';
  const retry = next?.kind === 'RETRY' ? next : null;
  const mailed = await enqueueMail(em, {
    key: stepKey(id, step.number),
    template: 'dunning',
    to: email,
    customerId,
    data: {
      customerName: facts.customerName,
      invoiceNumber: facts.invoiceNumber,
      due: { amount: facts.due, currency: facts.currency },
      ask: askAfter(declineCode),
      retryAt: retry?.at.toISOString() ?? null,
      isLastRetry: retry?.isLast ?? false,
      isOver,
      end: facts.subscriptionId !== null && retries === DunningRetries.OURS && end !== DunningEnd.LEAVE ? end : null,
      payUrl: payLinks.create(
        { tenantId: tenantOf(em), livemode: livemodeOf(em), invoiceId: facts.invoiceId },
        linkLifeMs,
      ).url,
    },
  });
  if (mailed) await em.execute('update dunning_steps set mailed = true where id = ?', [step.id]);
}
