import { type AddressInfo } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';

/** A mail that the server has taken. */
interface Arrived extends Email {
  /** Whom the envelope named; the mail's own headers may say something else. */
  readonly recipient: string;
  readonly raw: string;
}

/** How the server answers a command: `550 5.1.1 No such mailbox`; null takes it. */
type Answer = (address: string) => string | null;

/** A real mail server on a port of its own, that tests tell how to answer. */
export interface TestSmtp {
  readonly url: string;
  readonly arrived: Arrived[];
  /** What is said to RCPT TO. */
  onRecipient: Answer;
  /** What is said to the mail itself. */
  onData: Answer;
  /** What is said to MAIL FROM. */
  onSender: Answer;
  stop(): Promise<void>;
}

export async function startSmtp(): Promise<TestSmtp> {
  const takes: Answer = () => null;
  const refusal = (answer: string | null): Error | null =>
    answer === null ? null : Object.assign(new Error(answer.slice(4)), { responseCode: Number(answer.slice(0, 3)) });
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    onMailFrom: ({ address }, _session, done) => done(refusal(test.onSender(address))),
    onRcptTo: ({ address }, _session, done) => done(refusal(test.onRecipient(address))),
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const recipient = session.envelope.rcptTo[0]!.address;
        const refused = refusal(test.onData(recipient));
        if (refused) return done(refused);
        const raw = Buffer.concat(chunks);
        void PostalMime.parse(raw).then((mail) => {
          test.arrived.push({ ...mail, recipient, raw: raw.toString('latin1') });
          done();
        });
      });
    },
  });
  smtp.on('error', () => undefined); // whoever is killed in the middle leaves a broken connection
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve));
  const { port } = smtp.server.address() as AddressInfo;
  const test: TestSmtp = {
    url: `smtp://127.0.0.1:${port}`,
    arrived: [],
    onRecipient: takes,
    onData: takes,
    onSender: takes,
    stop: () => new Promise<void>((resolve) => smtp.close(resolve)),
  };
  return test;
}
