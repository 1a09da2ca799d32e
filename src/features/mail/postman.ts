import { setTimeout as sleep } from 'node:timers/promises';
import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database, type TenantDb } from '../../db/database.js';
import { oneLine } from '../../shared/address.js';
import { failpoint } from '../../shared/failpoint.js';
import { type Logger } from '../../shared/logger.js';
import { mailsTried } from '../../shared/metrics.js';
import { Polling } from '../../shared/repeat.js';
import { type Uuid } from '../../shared/uuid.js';
import { type Attachments, isMailName, letterOf, type Sender } from './letter.js';
import { type Envelope, type Mailer, type Sent } from './mailer.js';
import { Mail, MailState } from './mail.entity.js';
import { senderOf } from './sender.js';
import { type MailName, mailTemplates } from './templates/mail-templates.js';

/** Whether what a mail with this key says is still so, by the kind of mail. It is asked in the tenant's transaction, just before the mail goes. */
export type StillTrue = { readonly [Name in MailName]?: (em: EntityManager, key: string) => Promise<boolean> };

export interface PostmanSettings {
  readonly database: Database;
  readonly mailer: Mailer;
  /** The platform's address: what follows its `@` makes our Message-IDs. */
  readonly from: string;
  readonly attachments: Attachments;
  /** Kinds that are not asked for go as they were taken down. */
  readonly stillTrue: StillTrue;
  readonly logger: Logger;
  /** Milliseconds between two looks when there was nothing to do: 1,000. */
  readonly idleMs?: number;
}

/** How often a mail is tried that cannot be written: for three quarters of an hour. */
const writings = 5;

interface Claim {
  readonly tenantId: Uuid;
  readonly id: Uuid;
  readonly leaseToken: Uuid;
}

/** How many mails one look takes; they are sent side by side. Each tenant that waits has its turn, however many another one has. */
const batch = 8;
/** How many a look takes into view, so that several processes that look at the same moment find some each. */
const seen = 4 * batch;

/** Seconds. Longer than a mail server can keep us waiting, so that nobody takes a mail over that is still being sent. */
const leaseSeconds = 180;

/**
 * Sends what the outbox holds, of all tenants. Any number of processes may: a mail is leased to one of them, and who has lost its lease
 * records nothing. A process that dies after the mail server took a mail and before that is recorded has it sent again, by whoever finds it
 * when the lease is over: with the same Message-ID, by which mail servers and readers tell that it is the same.
 */
export class Postman {
  private readonly polling: Polling;

  constructor(private readonly settings: PostmanSettings) {
    const { idleMs = 1_000, logger } = settings;
    this.polling = new Polling({ work: () => this.sendOnce(), idleMs, failure: 'Cannot look for mails', logger });
  }

  start(): void {
    this.polling.start();
  }

  /** Takes nothing new, and waits for what is being sent. */
  async stop(): Promise<void> {
    await this.polling.stop();
    await this.settings.mailer.close();
  }

  /** Takes up to one batch of mails that are due and sends them. @returns how many were taken */
  async sendOnce(): Promise<number> {
    const claims = await this.settings.database.worker((em) => this.claim(em));
    failpoint('mail.after-claim');
    await Promise.all(claims.map((claim) => this.deliver(claim)));
    return claims.length;
  }

  /** Only kinds this version knows: during a roll-out an older one must leave the new ones alone. */
  private async claim(em: EntityManager): Promise<Claim[]> {
    const { livemode } = this.settings.database;
    await em.execute(
      `update mails set state = 'EXPIRED', lease_token = null, lease_until = null
       where state in ('QUEUED', 'SENDING') and send_until <= now() and livemode = ? and (lease_until is null or lease_until < now())`,
      [livemode],
    );
    const isDue = `m.state in ('QUEUED', 'SENDING') and m.next_attempt_at <= now() and (m.lease_until is null or m.lease_until < now())`;
    const templates = Object.keys(mailTemplates);
    return em.execute<Claim[]>(
      // From tenant to tenant by the index, however many mails each has; then in turn: the oldest of each, the next of each …
      `with recursive waiting as (
         (select m.tenant_id from mails m where m.state in ('QUEUED', 'SENDING') and m.livemode = ? order by m.tenant_id limit 1)
         union all
         select (select m.tenant_id from mails m
           where m.state in ('QUEUED', 'SENDING') and m.livemode = ? and m.tenant_id > w.tenant_id order by m.tenant_id limit 1)
         from waiting w where w.tenant_id is not null
       ), ready as materialized (
         select w.tenant_id from waiting w
         where exists (select from mails m where m.tenant_id = w.tenant_id and m.livemode = ? and ${isDue} and m.template in (?))
       ), due as (
         select first.tenant_id, first.id, first.next_attempt_at,
           row_number() over (partition by first.tenant_id order by first.next_attempt_at, first.id) as turn
         from ready r cross join lateral (
           select m.tenant_id, m.id, m.next_attempt_at from mails m
           where m.tenant_id = r.tenant_id and m.livemode = ? and ${isDue} and m.template in (?)
           order by m.next_attempt_at, m.id limit (select greatest(1, ${seen} / greatest(1, count(*))) from ready)
         ) first
       ), taken as (
         select m.tenant_id, m.id from mails m join due on due.tenant_id = m.tenant_id and due.id = m.id
         where ${isDue} order by due.turn, due.next_attempt_at limit ${batch} for update of m skip locked
       )
       update mails m set state = 'SENDING', lease_token = uuidv7(), lease_until = now() + interval '${leaseSeconds} seconds',
         attempts = attempts + 1
       from taken where m.tenant_id = taken.tenant_id and m.id = taken.id
       returning m.tenant_id as "tenantId", m.id, m.lease_token as "leaseToken"`,
      [livemode, livemode, livemode, templates, livemode, templates],
    );
  }

  private async deliver({ tenantId, id, leaseToken }: Claim): Promise<void> {
    const { database, mailer, logger } = this.settings;
    const about = { tenantId, mailId: id };
    try {
      const db = database.tenant(tenantId);
      const found = await db.transaction(async (em) => {
        const mail = await em.findOne(Mail, { id, leaseToken });
        return mail?.recipient && { mail, sender: await senderOf(em), isTrue: await this.isTrue(em, mail) };
      });
      // Taken over, or erased meanwhile.
      if (!found) return;
      const { mail } = found;
      if (!found.isTrue)
        return void (await record(db, mail, { state: MailState.EXPIRED, reason: 'It is not so any more.' }));
      const envelope = await this.envelopeOf(mail, found.sender).catch((error: Error) => error);
      if (envelope instanceof Error) {
        logger.error({ ...about, template: mail.template, err: envelope }, 'A mail cannot be written');
        const end = unwritten(mail.attempts);
        mailsTried.inc({ outcome: outcomeOf(end) });
        return void (await record(db, mail, end));
      }
      const sent = await withPatience(mailer.send(envelope));
      failpoint('mail.after-send');
      const end = endOf(sent, mail.attempts);
      mailsTried.inc({ outcome: sent.outcome === 'BLOCKED' ? sent.outcome : outcomeOf(end) });
      if (sent.outcome === 'BLOCKED')
        logger.error({ ...about, attempts: mail.attempts, reason: sent.reason }, 'A mail was refused by policy');
      if (sent.outcome === 'LATER')
        logger.warn({ ...about, attempts: mail.attempts, reason: sent.reason }, 'A mail could not be sent yet');
      await record(db, mail, { ...end, subject: envelope.subject, messageId: envelope.messageId });
    } catch (error) {
      // Its lease runs out, and it is tried again.
      logger.error({ ...about, err: error }, 'A mail cannot be looked after');
    }
  }

  /** Who has a mail sent again knows what it says. */
  private async isTrue(em: EntityManager, { template, key, generation }: Mail): Promise<boolean> {
    const ask = generation === 0 && isMailName(template) && this.settings.stillTrue[template];
    return ask ? ask(em, key) : true;
  }

  private async envelopeOf(mail: Mail, sender: Sender): Promise<Envelope> {
    if (!isMailName(mail.template)) throw new Error(`There is no template ${mail.template}.`);
    const attach = this.settings.attachments[mail.template];
    const [letter, attachments] = await Promise.all([
      letterOf(mail.template, mail.data, sender),
      attach?.(mail.data as never, sender),
    ]);
    return {
      ...letter,
      attachments: attachments ?? [],
      senderName: oneLine(sender.senderName ?? sender.tenant),
      replyTo: sender.replyTo,
      to: mail.recipient!,
      messageId: messageIdOf(mail, this.settings.from),
    };
  }
}

/** The same for every try, so that a copy can be told from a second mail. */
function messageIdOf({ id, generation }: Mail, from: string): string {
  return `<${id}${generation ? `.${generation}` : ''}@${from.slice(from.lastIndexOf('@') + 1)}>`;
}

interface End {
  readonly state: MailState;
  readonly reason?: string;
  /** Until the next try. */
  readonly delaySeconds?: number;
  readonly subject?: string;
  readonly messageId?: string;
}

function endOf(sent: Sent, attempts: number): End {
  switch (sent.outcome) {
    case 'TAKEN':
      return { state: MailState.SENT };
    case 'REFUSED':
      return { state: MailState.BOUNCED, reason: sent.reason };
    case 'BLOCKED':
      // Whatever it is that they mind, it is not mended within a minute.
      return {
        state: MailState.QUEUED,
        reason: 'The recipient’s mail server does not take mail from this platform at present.',
        delaySeconds: delayAfter(attempts + 2),
      };
    case 'LATER':
      return {
        state: MailState.QUEUED,
        reason: sent.isAboutMail ? sent.reason : 'The mail server could not be used.',
        delaySeconds: delayAfter(attempts),
      };
  }
}

/** A file may be out of reach for a moment, or the next version may know better; but not for ever. */
function unwritten(attempts: number): End {
  const reason = 'It could not be written; see the log.';
  if (attempts >= writings) return { state: MailState.FAILED, reason };
  return { state: MailState.QUEUED, reason, delaySeconds: delayAfter(attempts) };
}

function outcomeOf({ state }: End): string {
  return state === MailState.QUEUED ? 'RETRY' : state;
}

/** Half a minute, two minutes, eight … at most six hours; a fifth of it is chance, so that what failed together does not come back together. */
function delayAfter(attempts: number): number {
  return Math.min(30 * 4 ** Math.min(attempts - 1, 10), 21_600) * (0.8 + Math.random() / 5);
}

/** Writes down how a try ended, unless the mail was taken over or somebody else has ended it. */
async function record(db: TenantDb, { id, leaseToken }: Mail, end: End): Promise<void> {
  const { state, reason = null, delaySeconds = 0, subject = null, messageId = null } = end;
  await db.transaction((em) =>
    em.execute(
      `update mails set state = ?, last_error = ?, subject = coalesce(?, subject), message_id = coalesce(?, message_id),
         next_attempt_at = now() + ? * interval '1 second', sent_at = case when ? = 'SENT' then now() end, lease_token = null, lease_until = null
       where id = ? and lease_token = ? and recipient is not null`,
      [state, reason, subject, messageId, delaySeconds, state, id, leaseToken],
    ),
  );
}

/** A server that trickles on for ever is not waited for: the mail goes again, and is known by its Message-ID if it had arrived. */
async function withPatience(sending: Promise<Sent>): Promise<Sent> {
  const giveUp = new AbortController();
  const silence = sleep((leaseSeconds - 30) * 1_000, null, { signal: giveUp.signal, ref: false }).then((): Sent => ({
    outcome: 'LATER',
    reason: 'The mail server took too long.',
    isAboutMail: true,
  }));
  silence.catch(() => undefined);
  try {
    return await Promise.race([sending, silence]);
  } finally {
    giveUp.abort();
  }
}
