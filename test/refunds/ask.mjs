// One server process that gives money back and says what came of it; run with FAILPOINT to die on the way.
// argv: { url, secretKey, publishableKey, apiBase, tenantId, request } as JSON.
import { entities } from '../../dist/mikro-orm.config.js';
import { Database } from '../../dist/src/db/database.js';
import { createOrm } from '../../dist/src/db/orm.js';
import { RefundService } from '../../dist/src/features/refunds/refund.service.js';
import { Commands } from '../../dist/src/jobs/commands/commands.js';
import { StripeService } from '../../dist/src/stripe/stripe.service.js';

const { url, tenantId, request, ...settings } = JSON.parse(process.argv[2]);
const orm = createOrm({ url, entities });
const stripe = new StripeService({ ...settings, livemode: false });
const commands = new Commands(new Database(orm, false).tenant(tenantId), stripe);
const answer = await new RefundService(commands, 'user-1')
  .refundPayment(request)
  .catch(({ code, message }) => ({ code, message }));
process.stdout.write(JSON.stringify(answer));
await orm.close(true);
stripe.close();
