import { type AnyMailTemplate, type MailTemplate } from '../mail-template.js';
import { actionNeeded } from './action-needed.js';
import { balanceAlert } from './balance-alert.js';
import { cardExpiring } from './card-expiring.js';
import { disputeDeadline } from './dispute-deadline.js';
import { dunning } from './dunning.js';
import { failureDigest } from './failure-digest.js';
import { receipt } from './receipt.js';
import { renewalComing } from './renewal-coming.js';
import { trialEnding } from './trial-ending.js';
import { webhookEndpointDisabled } from './webhook-endpoint-disabled.js';

/**
 * Every kind of mail there is, by its name, which is kept in the database. To add one: `<name>.mjml` (what stands between header and footer),
 * `<name>.txt` and a file that exports its {@link MailTemplate} in this folder, and a line here. `enqueueMail` then knows it and its data.
 */
export const mailTemplates = {
  receipt,
  dunning,
  'renewal-coming': renewalComing,
  'trial-ending': trialEnding,
  'card-expiring': cardExpiring,
  'action-needed': actionNeeded,
  'balance-alert': balanceAlert,
  'dispute-deadline': disputeDeadline,
  'failure-digest': failureDigest,
  'webhook-endpoint-disabled': webhookEndpointDisabled,
} satisfies Readonly<Record<string, AnyMailTemplate>>;

export type MailName = keyof typeof mailTemplates;

/** What a kind of mail is made from. */
export type MailData<Name extends MailName> =
  (typeof mailTemplates)[Name] extends MailTemplate<infer Data> ? Data : never;
