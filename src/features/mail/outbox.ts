import { createHash } from 'node:crypto';
import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, mailsOf, tenantOf } from '../../db/tenant-entity.js';
import { newUuid } from '../../shared/uuid.js';
import { isAddress } from '../../shared/address.js';
import { type MailData, type MailName, mailTemplates } from './templates/mail-templates.js';

/** A mail that is to be sent once. Attachments are made from `data` when it is sent. */
export interface NewMail<Name extends MailName = MailName> {
  /** What it is about, and which step of that: `receipt:<payment id>`. The second mail with a key of the tenant is none. */
  readonly key: string;
  readonly template: Name;
  /** One address, as it stands in the PSA. One that is none is kept as a failure, and shown to the tenant's admins. */
  readonly to: string;
  /** All that it says. What is true only later is not in it. */
  readonly data: MailData<Name>;
  readonly customerId?: number;
  /** After that it is not sent any more: three days from now. For what will not be true any more by then. */
  readonly until?: Date;
}

/**
 * Takes down a mail, in the transaction that gives the reason for it: neither is there without the other. It is sent after the commit, by
 * whichever worker finds it first.
 *
 * Nothing happens where no mail server is configured, or where the tenant has switched such mails off.
 * @param em of a tenant's transaction
 * @returns false when nothing was taken down: there is such a mail already, or there is to be none
 * @example await enqueueMail(em, { key: `receipt:${payment.id}`, template: 'receipt', to: customer.email, data, customerId: customer.id });
 */
export async function enqueueMail<Name extends MailName>(em: EntityManager, mail: NewMail<Name>): Promise<boolean> {
  return (await enqueueMails(em, [mail])) === 1;
}

/** The same for many at once. @returns how many were taken down */
export async function enqueueMails<Name extends MailName>(
  em: EntityManager,
  mails: readonly NewMail<Name>[],
): Promise<number> {
  if (!mailsOf(em) || mails.length === 0) return 0;
  const rows = mails.map(({ key, template, to, data, customerId, until }) => ({
    id: newUuid(),
    key,
    template,
    topic: mailTemplates[template].topic,
    recipient: isAddress(to.trim()) ? to.trim() : showable(to),
    data,
    customer_id: customerId ?? null,
    send_until: until?.toISOString() ?? null,
    refused: isAddress(to.trim()) ? null : 'This is no e-mail address.',
  }));
  const taken = await em.execute<unknown[]>(
    `insert into mails (tenant_id, livemode, id, key, template, customer_id, recipient, data, state, last_error, send_until)
     select ?, ?, m.id, m.key, m.template, m.customer_id, m.recipient, m.data, case when m.refused is null then 'QUEUED' else 'FAILED' end,
       m.refused, coalesce(m.send_until, now() + interval '3 days')
     from jsonb_to_recordset(?::jsonb) as m (id uuid, key text, template text, topic text, recipient text, data jsonb, customer_id integer,
       send_until timestamptz, refused text)
     where not exists (select from mail_settings where m.topic = any (muted))
     on conflict (tenant_id, livemode, key) do nothing returning id`,
    [tenantOf(em), livemodeOf(em), JSON.stringify(rows)],
  );
  return taken.length;
}

/**
 * The same to those who look after the tenant: the addresses it has named for that, or else its users with the role `admin`. One mail each.
 * @returns whether any was taken down
 */
export async function enqueueAdminMail<Name extends MailName>(
  em: EntityManager,
  { key, ...mail }: Omit<NewMail<Name>, 'to' | 'customerId'>,
): Promise<boolean> {
  if (!mailsOf(em)) return false;
  const admins = await em.execute<{ who: string | null; email: string }[]>(
    `with named as (select unnest(alert_addresses) as email from mail_settings)
     select null as who, email from named
     union all
     select * from (select id::text, email from tenant_admins where not exists (select from named) order by id limit 50) admins`,
  );
  const mails = admins.map(({ who, email }) => ({ ...mail, key: `${key}:${who ?? markOf(email)}`, to: email }));
  return (await enqueueMails<Name>(em, mails)) > 0;
}

/** What is no address, as it can be kept and shown: whole letters, and nothing that ends a line. */
function showable(text: string): string {
  return [...text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '�')].slice(0, 254).join('');
}

/** Stands for an address in a key. Keys are short, and outlive what is known of people. */
function markOf(address: string): string {
  return createHash('sha256').update(address).digest('hex').slice(0, 16);
}

/** Takes back those that have not been sent yet, because their reason is gone. @param keys business keys @returns how many */
export async function withdrawMails(em: EntityManager, keys: readonly string[]): Promise<number> {
  if (keys.length === 0) return 0;
  const withdrawn = await em.execute<unknown[]>(
    `update mails set state = 'EXPIRED', lease_token = null, lease_until = null where key in (?) and state = 'QUEUED' returning id`,
    [keys],
  );
  return withdrawn.length;
}
