import { createServer, type Server, type ServerResponse } from 'node:http';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';

/** A mail server of this machine, and a page that shows what it was given. Nothing leaves the machine. */
export interface LocalInbox {
  readonly smtpUrl: string;
  readonly url: string;
  stop(): Promise<void>;
}

interface Arrived {
  readonly number: number;
  readonly at: Date;
  /** Whom the envelope named. */
  readonly recipients: readonly string[];
  readonly mail: Email;
}

/** Mails that are kept, in memory. */
const kept = 500;

/** @param port of the page; any other if it is taken. All of it listens on this machine only. */
export async function startLocalInbox(port: number): Promise<LocalInbox> {
  const arrived: Arrived[] = [];
  let number = 0;
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        void PostalMime.parse(Buffer.concat(chunks)).then(
          (mail) => {
            const recipients = session.envelope.rcptTo.map(({ address }) => address);
            arrived.unshift({ number: ++number, at: new Date(), recipients, mail });
            arrived.length = Math.min(arrived.length, kept);
            done();
          },
          (error: Error) => done(error),
        );
      });
    },
  });
  smtp.on('error', () => undefined); // a sender that was stopped in the middle
  const web = createServer((request, response) => answer(arrived, request.url ?? '/', response));
  await listen(smtp.server as unknown as Server, 0);
  await listen(web, port).catch(() => listen(web, 0));
  return {
    smtpUrl: `smtp://127.0.0.1:${portOf(smtp.server as unknown as Server)}`,
    url: `http://localhost:${portOf(web)}`,
    stop: async () => {
      web.closeAllConnections();
      await Promise.all([
        new Promise<void>((resolve) => smtp.close(resolve)),
        new Promise<void>((resolve) => web.close(() => resolve())),
      ]);
    },
  };
}

function answer(arrived: readonly Arrived[], url: string, response: ServerResponse): void {
  const [, first = '', part = '', which = ''] = url.split('?')[0]!.split('/');
  if (first === '') return page(response, 'Inbox', list(arrived));
  if (first === 'mails.json') return send(response, 'application/json', JSON.stringify(arrived.map(summary)));
  const one = arrived.find((each) => String(each.number) === first);
  const { mail } = one ?? {};
  if (one && mail) {
    if (part === '') return page(response, mail.subject ?? '(no subject)', show(one));
    // Whatever stands in a mail: it runs nothing, and is of no origin.
    if (part === 'html') {
      response.setHeader(
        'Content-Security-Policy',
        "sandbox; default-src 'none'; img-src https: data:; style-src 'unsafe-inline'",
      );
      return send(response, 'text/html; charset=utf-8', mail.html ?? '');
    }
    const file = part === 'attachments' ? mail.attachments[Number(which)] : undefined;
    if (file) {
      const name = (file.filename ?? 'attachment').replace(/[^\w.-]/g, '_');
      response.setHeader('Content-Disposition', `inline; filename="${name}"`);
      response.setHeader('X-Content-Type-Options', 'nosniff');
      return send(
        response,
        file.mimeType === 'application/pdf' ? file.mimeType : 'application/octet-stream',
        contentOf(file.content),
      );
    }
  }
  response.statusCode = 404;
  page(response, 'Inbox', '<p>There is no such mail. It may have been before a restart: <a href="/">all mails</a></p>');
}

function summary({ number, at, recipients, mail }: Arrived) {
  const attachments = mail.attachments.map(({ filename }) => filename);
  return { number, at, recipients, subject: mail.subject, messageId: mail.messageId, text: mail.text, attachments };
}

function list(arrived: readonly Arrived[]): string {
  if (arrived.length === 0) return '<p>Nothing yet. Pay something: <code>npm run demo</code></p>';
  const rows = arrived.map(
    ({
      number,
      at,
      recipients,
      mail,
    }) => `<tr><td>${escaped(at.toLocaleTimeString())}</td><td>${escaped(mail.from?.name ?? '')}</td>
      <td>${escaped(recipients.join(', '))}</td><td><a href="/${number}">${escaped(mail.subject ?? '(no subject)')}</a></td></tr>`,
  );
  return `<table><tr><th>Time</th><th>From</th><th>To</th><th>Subject</th></tr>${rows.join('')}</table>`;
}

function show({ number, at, recipients, mail }: Arrived): string {
  const files = mail.attachments.map(
    ({ filename }, i) => `<a href="/${number}/attachments/${i}">${escaped(filename ?? 'attachment')}</a>`,
  );
  const facts = [
    ['From', `${mail.from?.name ?? ''} <${mail.from?.address ?? ''}>`],
    ['Reply to', mail.replyTo?.map(({ address }) => address).join(', ') ?? ''],
    ['To', recipients.join(', ')],
    ['At', at.toLocaleString()],
    ['Message-ID', mail.messageId ?? ''],
  ].filter(([, value]) => value);
  return `<p><a href="/">All mails</a></p>
    <table>${facts.map(([name, value]) => `<tr><th>${name}</th><td>${escaped(value!)}</td></tr>`).join('')}
    ${files.length ? `<tr><th>Attached</th><td>${files.join(', ')}</td></tr>` : ''}</table>
    <iframe sandbox title="The mail as HTML" src="/${number}/html"></iframe>
    <h2>As plain text</h2><pre>${escaped(mail.text ?? '')}</pre>`;
}

function page(response: ServerResponse, title: string, body: string): void {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title>
    <style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1f2937}
    table{border-collapse:collapse}th,td{text-align:left;padding:.25rem 1rem .25rem 0;vertical-align:top}
    iframe{width:100%;height:36rem;border:1px solid #d1d5db;margin:1rem 0}pre{white-space:pre-wrap;background:#f3f4f6;padding:1rem}</style>
    <h1>${escaped(title)}</h1>${body}</html>`;
  response.setHeader('Content-Security-Policy', "default-src 'none'; frame-src 'self'; style-src 'unsafe-inline'");
  send(response, 'text/html; charset=utf-8', html);
}

function send(response: ServerResponse, type: string, content: string | Buffer): void {
  response.setHeader('Content-Type', type);
  response.end(content);
}

function contentOf(content: ArrayBuffer | Uint8Array | string): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : Buffer.from(content as ArrayBuffer);
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}
