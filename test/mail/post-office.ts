import { entities } from '../../mikro-orm.config.js';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { type Attachments } from '../../src/features/mail/letter.js';
import { Mailer } from '../../src/features/mail/mailer.js';
import { Postman, type StillTrue } from '../../src/features/mail/postman.js';
import { createLogger } from '../../src/shared/logger.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startSmtp, type TestSmtp } from './smtp.js';

/** The platform's address in tests. */
export const platformAddress = 'billing@platform.example';

/** A database, a mail server, and postmen between the two. */
export interface PostOffice {
  readonly db: TestDatabase;
  readonly database: Database;
  readonly smtp: TestSmtp;
  /** Another one, as another process would have it. */
  postman(smtpUrl?: string): Postman;
  /** Sends what is due, until nothing is. */
  sendAll(): Promise<void>;
  /** Lets pass whatever mails wait for. */
  letTimePass(): Promise<void>;
  stop(): Promise<void>;
}

export async function openPostOffice(attachments: Attachments = {}, stillTrue: StillTrue = {}): Promise<PostOffice> {
  const [db, smtp] = await Promise.all([createTestDatabase(), startSmtp()]);
  const logger = createLogger(process.env.TEST_LOG_LEVEL ?? 'silent');
  const orm = createOrm({ url: db.url, entities, logger });
  const database = new Database(orm, false, true);
  const mailers: Mailer[] = [];
  const postman = (smtpUrl = smtp.url) => {
    const mailer = new Mailer({ smtpUrl, from: platformAddress });
    mailers.push(mailer);
    return new Postman({ database, mailer, from: platformAddress, attachments, stillTrue, logger });
  };
  const usual = postman();
  return {
    db,
    database,
    smtp,
    postman,
    sendAll: async () => {
      while (await usual.sendOnce());
    },
    letTimePass: async () => {
      await db.query(`update mails set next_attempt_at = now() - interval '1 second', lease_until = lease_until - interval '1 hour'
        where state in ('QUEUED', 'SENDING')`);
    },
    stop: async () => {
      await Promise.all(mailers.map((mailer) => mailer.close()));
      await orm.close(true);
      await smtp.stop();
      await db.drop();
    },
  };
}
