import { type MailTopic } from './mail-topic.js';
import { type Say } from './say.js';

/** What a template may hold: text, whether something is there, and lists of the same. */
export type ViewValue = string | boolean | null | View | readonly View[];

/** The values behind the `{{names}}` of a template. Escaping is the template engine's, not theirs. Names that end in `Url` hold web addresses. */
export interface View {
  readonly [name: string]: ViewValue;
}

/** One of them, whatever it is made from. */
export type AnyMailTemplate = Omit<MailTemplate<never>, 'sample'> & { readonly sample: object };

/**
 * A kind of mail: what it is made from and what it says. Its HTML stands beside it in `<name>.mjml`, its plain text in `<name>.txt`; both are
 * filled from the same view. Amounts are minor units with a currency, times are ISO 8601 in UTC: `say` writes them for the reader.
 */
export interface MailTemplate<Data> {
  readonly topic: MailTopic;
  /** One line. */
  subject(data: Data, say: Say): string;
  view(data: Data, say: Say): View;
  /** For the preview, and for a test that every template can be rendered. */
  readonly sample: Data;
}
