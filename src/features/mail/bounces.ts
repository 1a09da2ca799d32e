import { type Database } from '../../db/database.js';
import { oneLine } from '../../shared/address.js';
import { isUuid, type Uuid } from '../../shared/uuid.js';

/** What a mail server on the way says that became of one of our mails. */
export interface Bounce {
  readonly mailId: Uuid;
  /** Which sending of it: somebody may have had it sent again. */
  readonly generation: number;
  /** `failed`, `delayed`, `delivered`, `relayed` or `expanded`. */
  readonly action: string;
  /** Enhanced status code: `5.1.1`. */
  readonly status: string;
  /** In the words of the last mail server. */
  readonly reason: string;
}

/**
 * What came of a report. `RECORDED`: the mail is a bounce now. `KNOWN`: it was not, or is no more, a mail that was sent. `POLICY`: refused
 * because of who we are, which says nothing about the address. `NOT_FINAL`: it may still arrive. `NO_SUCH_MAIL`: none of ours.
 */
export type BounceOutcome = 'RECORDED' | 'KNOWN' | 'POLICY' | 'NOT_FINAL' | 'NO_SUCH_MAIL';

/**
 * Reads a delivery status notification (RFC 3464): a mail with a part for machines, and with the mail that it is about or at least its headers.
 * @param raw the whole mail, as it came
 * @returns null when it is none about a mail of ours
 */
export async function readBounce(raw: Uint8Array): Promise<Bounce | null> {
  const { default: PostalMime } = await import('postal-mime');
  const { attachments } = await PostalMime.parse(raw, { forceRfc822Attachments: true, attachmentEncoding: 'utf8' });
  const partOf = (...types: string[]) => {
    const found = attachments.find(({ mimeType }) => types.includes(mimeType));
    return typeof found?.content === 'string' ? found.content : null;
  };
  const fieldsOf = async (text: string) =>
    new Map((await PostalMime.parse(text)).headers.map(({ key, value }) => [key, value.trim()]));
  const report = partOf('message/delivery-status', 'message/global-delivery-status');
  const returned = partOf('message/rfc822', 'text/rfc822-headers', 'message/global', 'message/global-headers');
  if (report === null || returned === null) return null;
  const [, mailId, generation = '0'] =
    /^<([0-9a-f-]{36})(?:\.(\d{1,9}))?@/.exec((await fieldsOf(returned)).get('message-id') ?? '') ?? [];
  if (!isUuid(mailId)) return null;
  // First what concerns the whole mail, then a group for each recipient. Ours have one.
  for (const group of report.replace(/\r\n?/g, '\n').split(/\n[ \t]*\n/)) {
    const fields = await fieldsOf(`${group.trim()}\n\n`);
    const [action, status] = [fields.get('action')?.toLowerCase(), fields.get('status')];
    if (!action || !status) continue;
    const words = fields.get('diagnostic-code')?.replace(/^[\w-]+\s*;\s*/, '') ?? status;
    return { mailId, generation: Number(generation), action, status, reason: oneLine(words).slice(0, 500) };
  }
  return null;
}

/** Writes down that a mail did not arrive after all, for its tenant to see. The same report twice is one. */
export async function recordBounce(database: Database, bounce: Bounce): Promise<BounceOutcome> {
  const { mailId, generation, action, status, reason } = bounce;
  // Its Message-ID does not say whose it is; ids are found by the tenant's first.
  const [found] = await database.worker((em) =>
    em.execute<{ tenantId: Uuid }[]>(
      `select t.id as "tenantId" from tenants t
       where exists (select from mails m where m.tenant_id = t.id and m.id = ? and m.livemode = ?)`,
      [mailId, database.livemode],
    ),
  );
  if (!found) return 'NO_SUCH_MAIL';
  if (action !== 'failed') return 'NOT_FINAL';
  if (/^5\.7\./.test(status)) return 'POLICY';
  const changed = await database
    .tenant(found.tenantId)
    .transaction((em) =>
      em.execute<unknown[]>(
        `update mails set state = 'BOUNCED', last_error = ? where id = ? and generation = ? and state = 'SENT' returning id`,
        [reason, mailId, generation],
      ),
    );
  return changed.length === 1 ? 'RECORDED' : 'KNOWN';
}
