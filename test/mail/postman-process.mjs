// A process that sends mails, to be killed at a failpoint. Told by its environment: DATABASE_URL, SMTP_URL, FAILPOINT.
import { entities } from '../../dist/mikro-orm.config.js';
import { Database } from '../../dist/src/db/database.js';
import { createOrm } from '../../dist/src/db/orm.js';
import { Mailer } from '../../dist/src/features/mail/mailer.js';
import { Postman } from '../../dist/src/features/mail/postman.js';
import { createLogger } from '../../dist/src/shared/logger.js';

const { DATABASE_URL: url, SMTP_URL: smtpUrl } = process.env;
const from = 'billing@platform.example';
const logger = createLogger('silent');
const database = new Database(createOrm({ url, entities, logger }), false, true);
const postman = new Postman({
  database,
  mailer: new Mailer({ smtpUrl, from }),
  from,
  attachments: {},
  stillTrue: {},
  logger,
});
while (await postman.sendOnce());
process.exit(0);
