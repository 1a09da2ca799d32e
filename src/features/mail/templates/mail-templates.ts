import { type AnyMailTemplate, type MailTemplate } from '../mail-template.js';
import { receipt } from './receipt.js';

/**
 * Every kind of mail there is, by its name, which is kept in the database. To add one: `<name>.mjml` (what stands between header and footer),
 * `<name>.txt` and a file that exports its {@link MailTemplate} in this folder, and a line here. `enqueueMail` then knows it and its data.
 */
export const mailTemplates = {
  receipt,
} satisfies Readonly<Record<string, AnyMailTemplate>>;

export type MailName = keyof typeof mailTemplates;

/** What a kind of mail is made from. */
export type MailData<Name extends MailName> =
  (typeof mailTemplates)[Name] extends MailTemplate<infer Data> ? Data : never;
