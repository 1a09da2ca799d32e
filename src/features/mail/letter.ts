import { readFile } from 'node:fs/promises';
import { oneLine } from '../../shared/address.js';
import { intoHtml, intoText, template } from './fill.js';
import { type AnyMailTemplate, type View } from './mail-template.js';
import { Say } from './say.js';
import { type MailName, mailTemplates } from './templates/mail-templates.js';

/** Whom a mail comes from: what a tenant is called, and how it wants to look. */
export interface Sender {
  readonly tenant: string;
  readonly timeZone: string;
  readonly senderName: string | null;
  readonly replyTo: string | null;
  readonly postalAddress: string | null;
  readonly logoUrl: string | null;
  readonly brandColor: string | null;
  readonly locale: string;
}

/** What goes along with a mail. */
export interface Attachment {
  readonly filename: string;
  readonly contentType: string;
  readonly content: Buffer;
}

/** Makes what goes along with mails of some kinds, from the same data. */
export type Attachments = {
  readonly [Name in MailName]?: (data: never, sender: Sender) => Promise<readonly Attachment[]>;
};

/** A mail as it is read. */
export interface Letter {
  readonly subject: string;
  readonly html: string;
  readonly text: string;
}

/** Whether this version knows how to write it. */
export function isMailName(name: string): name is MailName {
  return Object.hasOwn(mailTemplates, name);
}

/** @throws Error when the data is not what the template is made from */
export async function letterOf(name: MailName, data: object, sender: Sender): Promise<Letter> {
  const kind: AnyMailTemplate = mailTemplates[name];
  const say = new Say(sender.senderName ?? sender.tenant, sender.timeZone, sender.locale);
  const color = sender.brandColor ?? '#1f2937';
  const subject = oneLine(kind.subject(data as never, say));
  const view: View = {
    subject,
    tenant: say.tenant,
    brandColor: color,
    brandText: isLight(color) ? '#111827' : '#ffffff',
    logoUrl: sender.logoUrl,
    address: (sender.postalAddress ?? '').split('\n').flatMap((line) => (line.trim() ? [{ line: line.trim() }] : [])),
    ...kind.view(data as never, say),
  };
  const { html, text } = await compiled(name);
  return {
    subject,
    html: html(view),
    text: `${text(view)
      .replace(/\n{3,}/g, '\n\n')
      .trim()}\n`,
  };
}

interface Compiled {
  readonly html: (view: View) => string;
  readonly text: (view: View) => string;
}

const known = new Map<MailName, Promise<Compiled>>();

function compiled(name: MailName): Promise<Compiled> {
  let found = known.get(name);
  if (!found) {
    known.set(name, (found = read(name)));
    // What could not be read just now is read again.
    found.catch(() => known.delete(name));
  }
  return found;
}

async function read(name: MailName): Promise<Compiled> {
  const [html, text, foot] = await Promise.all(
    [`${name}.html`, `${name}.txt`, 'foot.txt'].map((file) => readFile(new URL(file, folder), 'utf8')),
  );
  return { html: template(html!, intoHtml), text: template(`${text!}\n${foot!}`, intoText) };
}

/** Where the build has put what it made of the templates. Tests run the sources, beside which there is none. */
const folder = new URL(
  './templates/',
  import.meta.url.includes('/dist/')
    ? import.meta.url
    : new URL('../../../dist/src/features/mail/letter.js', import.meta.url),
);

/** Whether dark letters can be read on it better than white ones. https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function isLight(color: string): boolean {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b! > 0.3;
}
