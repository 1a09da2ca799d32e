import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { livemodeOf, mailsOf, tenantOf } from '../../db/tenant-entity.js';
import { isAddress, oneLine } from '../../shared/address.js';
import { type Clock } from '../../shared/clock.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { audit } from '../audit/audit.js';
import { type UpdateMailSettingsInput } from './mail.input.js';
import { MailState } from './mail.entity.js';
import { MailTopic } from './mail-topic.js';
import { MailSettings } from './mail-settings.entity.js';
import { isLocale } from './say.js';

/** What became of it can still be otherwise. */
const under = [MailState.QUEUED, MailState.SENDING];

/** What a tenant's admins do with its mail. */
export class MailService {
  constructor(
    private readonly db: TenantDb,
    private readonly actor: string,
    private readonly clock: Clock,
  ) {}

  /** As set, or as it is without. */
  settings(): Promise<MailSettings> {
    return this.db.transaction(settingsOf);
  }

  /** @throws AppError BAD_USER_INPUT */
  async updateSettings(input: UpdateMailSettingsInput): Promise<MailSettings> {
    const changes = checked(input);
    return this.db.transaction(async (em) => {
      await em.execute(
        'insert into mail_settings (tenant_id, livemode, id) values (?, ?, ?) on conflict (tenant_id, livemode) do nothing',
        [tenantOf(em), livemodeOf(em), newUuid()],
      );
      const settings = await settingsOf(em);
      const { RECEIPTS } = MailTopic;
      const isHeardAgain = settings.muted.includes(RECEIPTS) && changes.muted?.includes(RECEIPTS) === false;
      Object.assign(settings, changes, isHeardAgain && { unmutedAt: this.clock.now() });
      const subject = { subjectType: 'mail-settings', subjectId: settings.id };
      audit(em, {
        actor: this.actor,
        action: 'mail-settings.update',
        ...subject,
        details: { fields: Object.keys(changes) },
      });
      await em.flush();
      return settings;
    });
  }

  /**
   * Puts a mail that came to an end back into the outbox, as a message of its own. One to a customer goes to where the customer is now.
   * @throws AppError NOT_FOUND | INVALID_STATE
   */
  async resend(id: Uuid): Promise<void> {
    await this.db.transaction(async (em) => {
      const [mail] = await em.execute<{ state: MailState; recipient: string | null; email: string | null }[]>(
        `select m.state, m.recipient, c.email from mails m
           left join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id where m.id = ? for update of m`,
        [id],
      );
      if (!mail) throw notFound('mail', 'input.id');
      const to = mail.recipient && (mail.email?.trim() || mail.recipient);
      if (under.includes(mail.state)) throw new AppError('INVALID_STATE', 'It is about to be sent.');
      if (!mailsOf(em)) throw new AppError('INVALID_STATE', 'There is no mail server.');
      if (!to) throw new AppError('INVALID_STATE', 'What it said was erased.');
      if (!isAddress(to)) throw new AppError('INVALID_STATE', 'Its address is none.');
      await em.execute(
        `update mails set state = 'QUEUED', recipient = ?, generation = generation + 1, attempts = 0, next_attempt_at = now(),
           send_until = now() + interval '3 days', last_error = null, sent_at = null where id = ?`,
        [to, id],
      );
      audit(em, { actor: this.actor, action: 'mail.resend', subjectType: 'mail', subjectId: id });
      await em.flush();
    });
  }
}

/** Forgets to whom a customer's mails went and what they said. That there were some remains. @returns how many */
export async function eraseMailsOf(em: EntityManager, customerId: number): Promise<number> {
  const erased = await em.execute<unknown[]>(
    `update mails set recipient = null, subject = null, data = '{}', last_error = null, lease_token = null, lease_until = null,
       state = case when state in ('QUEUED', 'SENDING') then 'EXPIRED' else state end
     where customer_id = ? and recipient is not null returning id`,
    [customerId],
  );
  return erased.length;
}

async function settingsOf(em: EntityManager): Promise<MailSettings> {
  return (await em.findOne(MailSettings, { livemode: livemodeOf(em) })) ?? new MailSettings();
}

/** Only what is to change, in the form in which it is kept. */
function checked(input: UpdateMailSettingsInput): Partial<MailSettings> {
  const { alertAddresses, muted } = input;
  const name = given(input.senderName, oneLine);
  given(name, (text) =>
    refuseUnless(text.length >= 1 && text.length <= 100, 'senderName', 'It must have 1 to 100 characters.'),
  );
  const address = given(input.postalAddress, (text) => text.replace(/\r\n?/g, '\n').trim());
  given(address, (text) => refuseUnless(text.length <= 500, 'postalAddress', 'It may have at most 500 characters.'));
  given(input.logoUrl, (url) =>
    refuseUnless(isPicture(url), 'logoUrl', 'It must be an https address of at most 500 characters.'),
  );
  given(input.brandColor, (color) => refuseUnless(/^#[0-9a-f]{6}$/i.test(color), 'brandColor', 'Write it as #1d4ed8.'));
  given(input.locale, (tag) => refuseUnless(isLocale(tag), 'locale', 'There is no such language tag.'));
  given(input.replyTo, (to) => refuseUnless(isAddress(to), 'replyTo', 'This is no e-mail address.'));
  given(alertAddresses, (all) => {
    refuseUnless(all.every(isAddress), 'alertAddresses', 'One of them is no e-mail address.');
    refuseUnless(all.length <= 20, 'alertAddresses', 'At most 20 addresses can be named.');
  });
  given(input.renewalDays, (days) => refuseUnless(days >= 1 && days <= 60, 'renewalDays', 'It must be 1 to 60.'));
  const wanted = {
    senderName: name,
    replyTo: input.replyTo,
    postalAddress: address === '' ? null : address,
    logoUrl: given(input.logoUrl, (url) => new URL(url).href),
    brandColor: given(input.brandColor, (color) => color.toLowerCase()),
    locale: input.locale === null ? 'en' : input.locale,
    alertAddresses: alertAddresses === undefined ? undefined : [...new Set(alertAddresses)],
    muted: muted === undefined ? undefined : [...new Set(muted)],
    renewalDays: input.renewalDays === null ? 7 : input.renewalDays,
  };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
}

function isPicture(url: string): boolean {
  return URL.canParse(url) && new URL(url).protocol === 'https:' && url.length <= 500;
}

/** What is left out stays left out, and null stays null. */
function given<T, Result>(value: T | null | undefined, then: (value: T) => Result): Result | null | undefined {
  return value === null || value === undefined ? (value as null | undefined) : then(value);
}

function refuseUnless(isFine: boolean, field: string, message: string): void {
  if (!isFine) throw badInput(`input.${field}`, message);
}
