import { disputeCommands } from '../../src/features/disputes/dispute.commands.js';
import { recordDispute } from '../../src/features/disputes/dispute-record.js';
import { DisputeService } from '../../src/features/disputes/dispute.service.js';
import { Commands } from '../../src/jobs/commands/commands.js';
import { CommandRecovery } from '../../src/jobs/commands/recovery.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { disputeReport } from '../../src/stripe/disputes.js';
import { type DisputeId } from '../../src/stripe/types.js';
import { aRequest, createWorld, type Facts, type TestTenant, type World } from '../payments/support/world.js';

// Answers of Stripe that get lost: what was said to the bank was said once, and what was given up is given up.

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => world.sandbox.control('/faults', undefined, 'DELETE'));
afterAll(() => world.stop());

interface Disputed {
  readonly tenant: TestTenant;
  readonly disputeId: Uuid;
  readonly disputes: DisputeService;
  readonly atStripe: () => Promise<Facts>;
  readonly here: () => Promise<Facts>;
}

async function aDispute(): Promise<Disputed> {
  const tenant = await world.aTenant();
  const { accountId } = tenant;
  const customerId = await tenant.aCustomer();
  const method = {
    customerId,
    stripePaymentMethodId: 'pm_card_visa',
    setAsDefault: false,
    idempotencyKey: null,
  } as const;
  const paymentMethodId = await tenant.methods.attachPaymentMethod(method);
  await tenant.payments.createPaymentIntent(
    aRequest({ customerId, paymentMethodId, amount: 10_000, currency: 'usd', confirm: true }),
  );
  const [intent] = await tenant.intents();
  const { id } = await world.sandbox.control<{ id: DisputeId }>('/disputes', { charge: intent!.latest_charge });
  const stripe = world.stripe.forAccount(accountId);
  const report = disputeReport(await stripe.retrieveDispute(id));
  await tenant.db.transaction((em) => recordDispute(em, report, { accountId, asOf: report.created, fetched: true }));
  const here = async () =>
    (await world.db.query<Facts>('select * from disputes where tenant_id = $1', [tenant.id]))[0]!;
  return {
    ...{ tenant, here, disputeId: (await here()).id as Uuid },
    disputes: new DisputeService(new Commands(tenant.db, world.stripe), 'user-1'),
    atStripe: () => stripe.retrieveDispute(id),
  };
}

async function recover(): Promise<void> {
  const recovery = new CommandRecovery(world.database, world.stripe, disputeCommands);
  do {
    await world.db.query(
      `update commands set lease_until = now() - interval '1 second', next_attempt_at = now() where finished_at is null`,
    );
  } while ((await recovery.recoverOnce()) > 0);
}

const lose = (kind: string) =>
  world.sandbox.control('/faults', { kind, times: null, ms: 2_500, method: 'POST', path: '/v1/disputes' });

test.each(['delay_after', 'reset_after', 'truncate', 'reset_before'])(
  'evidence goes to the bank once (%s)',
  async (kind) => {
    const { disputeId, disputes, atStripe, here } = await aDispute();
    await lose(kind);
    const request = {
      disputeId,
      texts: { customerName: 'A Customer' },
      files: [],
      submit: true,
      idempotencyKey: 'evidence',
    };
    await expect(disputes.submitEvidence(request)).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      details: { disputeId },
    });
    // Until that is known, nothing else is said.
    await expect(disputes.acceptDispute({ disputeId, idempotencyKey: 'accept' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await world.sandbox.control('/faults', undefined, 'DELETE');
    await recover();
    expect(await atStripe()).toMatchObject({ status: 'under_review', evidence_details: { submission_count: 1 } });
    expect(await here()).toMatchObject({ status: 'UNDER_REVIEW', submission_count: 1 });
    expect(await disputes.submitEvidence(request)).toBe(disputeId);
  },
);

test.each(['delay_after', 'reset_after', 'truncate', 'reset_before'])(
  'what is given up is given up (%s)',
  async (kind) => {
    const { disputeId, disputes, atStripe, here } = await aDispute();
    await lose(kind);
    const request = { disputeId, idempotencyKey: 'accept' };
    await expect(disputes.acceptDispute(request)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await world.sandbox.control('/faults', undefined, 'DELETE');
    await recover();
    expect(await atStripe()).toMatchObject({ status: 'lost' });
    expect(await here()).toMatchObject({ status: 'LOST' });
    expect(await disputes.acceptDispute(request)).toBe(disputeId);
  },
);
