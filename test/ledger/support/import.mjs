// One process that brings the books of an account up to date; run with FAILPOINT to die on the way.
// argv: { url, secretKey, publishableKey, apiBase, tenantId, accountId } as JSON.
import { entities } from '../../../dist/mikro-orm.config.js';
import { Database } from '../../../dist/src/db/database.js';
import { createOrm } from '../../../dist/src/db/orm.js';
import { booksOf, importBookings } from '../../../dist/src/features/ledger/bookkeeping.js';
import { payoutStep } from '../../../dist/src/features/payouts/payout-books.js';
import { StripeService } from '../../../dist/src/stripe/stripe.service.js';

const { url, tenantId, accountId, ...settings } = JSON.parse(process.argv[2]);
const orm = createOrm({ url, entities });
const stripe = new StripeService({ ...settings, livemode: false });
const books = booksOf(new Database(orm, false).tenant(tenantId), stripe.forAccount(accountId), accountId);
await importBookings(books);
await payoutStep(books);
await orm.close(true);
stripe.close();
