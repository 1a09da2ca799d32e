import { buffer } from 'node:stream/consumers';
import { type BounceOutcome, readBounce, recordBounce } from '../src/features/mail/bounces.js';
import { connectParts, runCommand, UsageError } from './server-parts.js';

const usage = `npm run -s mail:bounces < report.eml

Reads one delivery status notification, a mail as it came to MAIL_FROM, and writes down that the mail it is about has bounced. For a mail server that hands
mail to a program, or for whoever looks after the mailbox.

Exit code: 0 done or nothing to do, 1 failed, 2 misused, 3 a report about no mail of this installation, or no report at all.
`;

const said: Record<BounceOutcome, string> = {
  RECORDED: 'It is written down as a bounce.',
  KNOWN: 'It is no mail that counts as sent: the bounce is known already, or it was sent again since.',
  POLICY: 'It was refused by policy, which is for us to mend: the address is no bounce.',
  NOT_FINAL: 'It may still arrive: nothing is written down.',
  NO_SUCH_MAIL: 'There is no such mail here.',
};

await runCommand(usage, async () => {
  if (process.argv.length > 2 || process.stdin.isTTY) throw new UsageError('The report is read from standard input.');
  const bounce = await readBounce(await buffer(process.stdin));
  if (!bounce) {
    console.log('This is no report about a mail of ours.');
    return 3;
  }
  const parts = await connectParts();
  try {
    const outcome = await recordBounce(parts.database, bounce);
    console.log(`${bounce.mailId}: ${bounce.action}, ${bounce.status}. ${said[outcome]}`);
    return outcome === 'NO_SUCH_MAIL' ? 3 : 0;
  } finally {
    await parts.close();
  }
});
