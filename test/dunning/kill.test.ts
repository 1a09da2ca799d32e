import { spawn } from 'node:child_process';
import { type BillingTenant, day, type Facts } from '../subscriptions/support.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import {
  aDunningTenant,
  attemptsOf,
  caseOf,
  declining,
  dunningStage,
  type FailedInvoice,
  failedRenewals,
  mailsOf,
  type Stage,
  stepsOf,
} from './stage.js';
import { programEnvironment, testProgram } from '../support/program.js';

// Real workers are killed with SIGKILL between any two steps of a retry, and of the end. Whatever they left behind, others bring it to its
// end: one try at Stripe, one mail, one cancellation.

let app: TestApp;
let stage: Stage;
let tenant: BillingTenant;

const points = [
  'dunning.after-claim',
  'command.after-insert',
  'command.in-apply',
  'dunning.after-attempt',
  'dunning.after-record',
];
/** A declined try does not get there: it is the cancellation that does. */
const ends = ['command.after-stripe'];
let failed: FailedInvoice[];

beforeAll(async () => {
  app = await startApp({ env: { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'billing@platform.example' } });
  stage = dunningStage(app);
  tenant = await aDunningTenant(app);
  await app.db.query(
    `insert into dunning_settings (tenant_id, livemode, retry_days, at_end) values ($1, false, '{2}', 'CANCEL')`,
    [tenant.id],
  );
  failed = await failedRenewals(
    tenant,
    [...points, ...ends, 'unanswered', 'asked', 'paid', 'withdrawn'].map(() => declining),
  );
  // The first notices are sent; what is due next is one retry each.
  await stage.onDay(failed.toSorted((a, b) => +a.openedAt - +b.openedAt).at(-1)!, 0.02);
});
afterAll(async () => {
  await stage.stop();
  await app.stop();
});

/** A worker that dies there, in the middle of what is due of this case. */
function die({ openedAt }: FailedInvoice, failpoint: string): Promise<NodeJS.Signals | null> {
  const { secretKey, publishableKey, url: apiBase } = app.sandbox;
  const now = new Date(+openedAt + 2 * day * 1_000 + 1_000);
  const settings = { url: app.db.url, secretKey, publishableKey, apiBase, publicUrl: app.url, now };
  const script = testProgram(new URL('./dunning-process.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(settings)], {
    env: { ...programEnvironment, FAILPOINT: failpoint },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return new Promise((done) => child.once('close', (_code, signal) => done(signal)));
}

/** Hands a case to the next worker alone. */
function leaveOnly(one: FailedInvoice): Promise<unknown> {
  return app.db.query(
    `update dunning_cases set lease_until = case when id = $1 then null else now() + interval '1 hour' end where state = 'OPEN' or id = $1`,
    [one.caseId],
  );
}

/** Time passes: leases end, and others take over. */
async function takeOver(one: FailedInvoice): Promise<void> {
  await app.db.query(
    `update commands set lease_until = now() - interval '1 second', next_attempt_at = now() where finished_at is null`,
  );
  await leaveOnly(one);
  // What a worker that was not sure left for later.
  for (const minutes of [0, 3, 10]) await stage.onDay(one, 2 + minutes / 1_440);
}

/** What is due next is the end. */
function endComes({ caseId }: FailedInvoice): Promise<unknown> {
  return app.db.query(
    `update dunning_steps set outcome = 'DECLINED', done_at = now() where case_id = $1 and number = 1`,
    [caseId],
  );
}

function pay({ stripeInvoiceId }: FailedInvoice): Promise<unknown> {
  return tenant.stripe('POST', `/invoices/${stripeInvoiceId}/pay`, { paid_out_of_band: 'true' });
}

async function cancellationOf({ id }: FailedInvoice): Promise<Facts | undefined> {
  const sql = `select * from commands where tenant_id = $1 and kind = 'subscriptions.dunning-cancel' and subject_id = $2`;
  return (await tenant.rows(sql, id))[0];
}

async function expectRecovered(one: FailedInvoice): Promise<void> {
  expect(await caseOf(tenant, one)).toMatchObject({ state: 'RECOVERED', next_at: null });
  expect(await stepsOf(tenant, one)).toEqual(['0 NOTICE DONE', '1 RETRY DECLINED', '2 END SKIPPED']);
  expect((await tenant.stripe<Facts>('GET', `/subscriptions/${one.stripeId}`)).status).toBe('active');
}

test.each(points.map((point, index) => [point, index] as const))(
  'a worker that dies at %s leaves one try at Stripe, one mail and one end',
  async (point, index) => {
    const one = failed[index]!;
    await leaveOnly(one);
    expect(await die(one, point)).toBe('SIGKILL');
    await takeOver(one);
    await tenant.settled();
    expect(await stepsOf(tenant, one)).toEqual(['0 NOTICE DONE', '1 RETRY DECLINED', '2 END DONE']);
    expect(await attemptsOf(tenant, one)).toHaveLength(2);
    expect((await mailsOf(tenant, one)).map(({ step }) => step as number)).toEqual([0, 2]);
    expect(await caseOf(tenant, one)).toMatchObject({ state: 'LOST', next_at: null });
  },
);

test.each(ends.map((point, index) => [point, index] as const))(
  'a worker that dies at %s of the end leaves one cancellation and one last notice',
  async (point, index) => {
    const one = failed[points.length + index]!;
    await leaveOnly(one);
    expect(await die(one, point)).toBe('SIGKILL');
    await takeOver(one);
    await tenant.settled();
    expect(await stepsOf(tenant, one)).toEqual(['0 NOTICE DONE', '1 RETRY DECLINED', '2 END DONE']);
    expect((await mailsOf(tenant, one)).map(({ step }) => step as number)).toEqual([0, 2]);
    const commands = await tenant.rows(
      `select state from commands where tenant_id = $1 and kind = 'subscriptions.dunning-cancel' and subject_id = $2`,
      one.id,
    );
    expect(commands).toEqual([{ state: 'SUCCEEDED' }]);
    expect((await tenant.stripe<Facts>('GET', `/subscriptions/${one.stripeId}`)).status).toBe('canceled');
  },
);

test('an invoice that was withdrawn while its worker lay dead is not tried after all', async () => {
  const one = failed.at(-1)!;
  await leaveOnly(one);
  expect(await die(one, 'command.after-insert')).toBe('SIGKILL');
  await tenant.stripe('POST', `/invoices/${one.stripeInvoiceId}/void`);
  await tenant.settled();
  await takeOver(one);
  expect(await attemptsOf(tenant, one)).toHaveLength(1);
  expect(await caseOf(tenant, one)).toMatchObject({ state: 'STOPPED', stop_reason: 'VOIDED', next_at: null });
  expect(await stepsOf(tenant, one)).toEqual(['0 NOTICE DONE', '1 RETRY SKIPPED', '2 END SKIPPED']);
});

test('who pays while the worker of the end lies dead, before it asked for anything, is not canceled after all', async () => {
  const one = failed.at(-2)!;
  await leaveOnly(one);
  await endComes(one);
  await app.db.query(`update dunning_steps set outcome = 'RUNNING' where case_id = $1 and kind = 'END'`, [one.caseId]);
  await app.db.query('update dunning_cases set ending = true where id = $1', [one.caseId]);
  await pay(one);
  await tenant.settled();
  await takeOver(one);
  await expectRecovered(one);
});

test('nor who pays after the cancellation was written down, also while we have not heard of the payment yet', async () => {
  const one = failed.at(-3)!;
  await leaveOnly(one);
  await endComes(one);
  expect(await die(one, 'command.after-insert')).toBe('SIGKILL');
  await app.sandbox.control('/deliveries/hold', {});
  await pay(one);
  await takeOver(one);
  expect(await cancellationOf(one)).toMatchObject({ state: 'FAILED', outcome: { error: { code: 'INVALID_STATE' } } });
  expect(await caseOf(tenant, one)).toMatchObject({ state: 'OPEN' });
  expect((await mailsOf(tenant, one)).map(({ step }) => step as number)).toEqual([0]);
  await app.sandbox.control('/deliveries/release', {});
  await tenant.settled();
  await takeOver(one);
  await expectRecovered(one);
});

test('a cancellation that Stripe did not answer is not called off before it has surely come to its end', async () => {
  const one = failed.at(-4)!;
  await leaveOnly(one);
  await endComes(one);
  const fault = { kind: 'reset_before', times: null, method: 'DELETE', path: '/v1/subscriptions' };
  await app.sandbox.control('/faults', fault);
  await stage.onDay(one, 2);
  await app.sandbox.control('/faults', undefined, 'DELETE');
  expect(await cancellationOf(one)).toMatchObject({ state: 'UNKNOWN' });
  await pay(one);
  await tenant.settled();
  await takeOver(one);
  expect(await cancellationOf(one)).toMatchObject({ state: 'UNKNOWN' });
  await until(async () => {
    // Again, since a look that began before this may put it off after it.
    await app.db.query(
      `update commands set unanswered_at = now() - interval '91 seconds', next_attempt_at = now() where finished_at is null`,
    );
    return (await cancellationOf(one))?.state === 'FAILED';
  }, 'the cancellation is called off');
  await stage.onDay(one, 2.02);
  await expectRecovered(one);
});
