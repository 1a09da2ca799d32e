import { type NodemailerError } from 'nodemailer';
import { type Attachment, type Letter } from './letter.js';

/** One mail, ready for the mail server. */
export interface Envelope extends Letter {
  readonly messageId: string;
  /** A name for the platform's address. */
  readonly senderName: string;
  readonly replyTo: string | null;
  readonly to: string;
  readonly attachments: readonly Attachment[];
}

/**
 * What the mail server made of it. `REFUSED` is for good, `LATER` is not. `BLOCKED` is a refusal by policy: it is about who we are and how we
 * send, and for us to mend; the address is good.
 */
export type Sent =
  | { readonly outcome: 'TAKEN' }
  | { readonly outcome: 'BLOCKED'; readonly reason: string }
  | {
      readonly outcome: 'REFUSED' | 'LATER';
      readonly reason: string;
      /** Whether it was said of this mail. What is said of the platform, its login or its network, is not for tenants. */
      readonly isAboutMail: boolean;
    };

export interface MailerSettings {
  readonly smtpUrl: string;
  /** The address that all mail comes from. */
  readonly from: string;
}

/** Milliseconds. A server that stops talking must not hold a mail for longer than its lease. */
const timeouts = { connectionTimeout: 10_000, greetingTimeout: 10_000, dnsTimeout: 10_000, socketTimeout: 30_000 };

/** The mail server. Connections are kept for a while: it is asked for many mails at once. */
export class Mailer {
  private transport: Promise<{ send(envelope: Envelope): Promise<void>; close(): void }> | null = null;

  constructor(private readonly settings: MailerSettings) {}

  /** Hands a mail over. */
  async send(envelope: Envelope): Promise<Sent> {
    try {
      await (await this.opened()).send(envelope);
      return { outcome: 'TAKEN' };
    } catch (error) {
      return judge(error as NodemailerError);
    }
  }

  async close(): Promise<void> {
    const opened = await this.transport?.catch(() => null);
    this.transport = null;
    opened?.close();
  }

  private opened() {
    this.transport ??= this.open().catch((error: unknown) => {
      this.transport = null;
      throw error;
    });
    return this.transport;
  }

  /** Loaded when it is needed: a process without a mail server never holds it. */
  private async open() {
    const { createTransport } = await import('nodemailer');
    // What a connection took along when it broke was perhaps sent: whether it goes again is for the outbox to say.
    const pool = { pool: true as const, maxConnections: 4, maxMessages: 100, maxRequeues: 0, idleTimeout: 30_000 };
    const transport = createTransport({
      url: this.settings.smtpUrl,
      ...pool,
      ...timeouts,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const send = async ({ senderName, to, replyTo, attachments, ...letter }: Envelope) => {
      await transport.sendMail({
        ...letter,
        from: { name: senderName, address: this.settings.from },
        to: { name: '', address: to },
        ...(replyTo && { replyTo: { name: '', address: replyTo } }),
        attachments: attachments.map((attachment) => ({ ...attachment })),
        // No answering machine is to answer. https://www.rfc-editor.org/rfc/rfc3834#section-5
        headers: { 'Auto-Submitted': 'auto-generated' },
      });
    };
    return { send, close: () => transport.close() };
  }
}

/**
 * Whether another try could end otherwise. Only what was said of this recipient or of this text is an answer for good: a server that does not
 * know us, or does not want our address, says nothing about the mail.
 */
function judge({ code, command, responseCode, response, message }: NodemailerError): Sent {
  const isAboutMail = code === 'EMESSAGE' || (code === 'EENVELOPE' && command !== 'MAIL FROM');
  const isForGood = isAboutMail && (responseCode === undefined || responseCode >= 500);
  const reason = (response ?? message).slice(0, 500);
  if (isForGood && policyStatus.test(reason)) return { outcome: 'BLOCKED', reason };
  return { outcome: isForGood ? 'REFUSED' : 'LATER', reason, isAboutMail };
}

/** Security or policy status, like 5.7.1 or 5.7.26. https://www.rfc-editor.org/rfc/rfc3463#section-3.8 */
const policyStatus = /^5\d\d[ -]5\.7\.\d/;
