import { createTestDatabase, type TestDatabase } from './support/database.js';
import { aTenant } from './support/factories.js';
import { testEnvironment } from './support/harness.js';
import { startServerProcess } from './support/server-process.js';
import { until } from './support/until.js';
import { aToken } from './support/tokens.js';

let db: TestDatabase;
let env: Record<string, string>;

beforeAll(async () => {
  db = await createTestDatabase();
  const nowhere = {
    url: 'http://127.0.0.1:9',
    secretKey: 'sk_test_local_main',
    publishableKey: 'pk_test_local_main',
    webhookSecrets: { snapshot: 'whsec_main', thin: '' },
  };
  env = { ...testEnvironment(db, nowhere as never, 0), LOG_LEVEL: 'info' };
});

afterAll(() => db?.drop());

test('wrong settings end the process with all culprits and a code of their own', async () => {
  const server = await startServerProcess({ ...env, PORT: 'x', JWT_ISSUER: '', STRIPE_TEST_SECRET_KEY: 'sk_live_1' }, { keepPort: true, awaitReady: false }); // prettier-ignore
  expect(await server.ended).toEqual({ code: 78, signal: null });
  const log = server.log.join('\n');
  for (const name of ['PORT', 'JWT_ISSUER', 'STRIPE_TEST_SECRET_KEY']) expect(log).toContain(name);
  expect(log).not.toMatch(/ {4}at /);
});

test('a role that row-level security does not bind ends the process', async () => {
  const server = await startServerProcess({ ...env, DATABASE_URL: db.adminUrl }, { awaitReady: false });
  expect(await server.ended).toEqual({ code: 78, signal: null });
  expect(server.log.join('\n')).toContain('superuser');
});

test('a port that is taken ends the process', async () => {
  const first = await startServerProcess(env);
  const second = await startServerProcess(
    { ...env, PORT: new URL(first.url).port },
    { keepPort: true, awaitReady: false },
  );
  expect(await second.ended).toEqual({ code: 1, signal: null });
  expect(second.log.join('\n')).toContain('EADDRINUSE');
  await first.stop();
});

// SIGTERM: test/faults/network.test.ts.
test('SIGINT under load fails no request that was taken', async () => {
  const server = await startServerProcess({ ...env, RATE_LIMIT_PER_MINUTE: '1000000' });
  const token = await aToken({ tenantId: (await aTenant(db)).id });
  const outcomes = new Map<string, number>();
  const note = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  let isOver = false;
  let isLeaving = false;
  const client = async () => {
    while (!isOver) {
      const isBefore = !isLeaving;
      const response = await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: '{"query":"{ viewer { tenant { id } } customers { nodes { id } } }"}',
      }).catch((error: Error) => error);
      if (!('json' in response)) {
        // Later ones may find the port closed, or an idle line that is being closed.
        const { code } = (response.cause ?? {}) as { code?: string };
        note(isBefore ? `broken: ${code}` : 'refused');
        return;
      }
      const answer = (await response.json()) as { errors?: unknown };
      note(answer.errors ? JSON.stringify(answer.errors) : 'answered');
    }
  };
  const clients = Array.from({ length: 16 }, client);
  await until(() => (outcomes.get('answered') ?? 0) > 50, 'the load is on');
  isLeaving = true;
  server.kill('SIGINT');
  const end = await server.ended;
  isOver = true;
  await Promise.all(clients);
  expect(end).toEqual({ code: 0, signal: null });
  expect([...outcomes.keys()].filter((outcome) => outcome !== 'answered' && outcome !== 'refused')).toEqual([]);
});

test('a worker serves nothing but its health', async () => {
  const server = await startServerProcess(
    { ...env, PROCESS_ROLE: 'worker', METRICS_PORT: env.PORT! },
    { awaitReady: false },
  );
  const started = () => server.log.map((line) => /"metricsPort":(\d+)/.exec(line)?.[1]).find(Boolean);
  let port: string | undefined;
  for (let i = 0; i < 200 && !(port = started()); i += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  const inside = `http://127.0.0.1:${port}`;
  expect((await fetch(`${inside}/readyz`)).status).toBe(200);
  expect(await (await fetch(`${inside}/metrics`)).text()).toContain('process_cpu_seconds_total');
  expect((await fetch(`${inside}/graphql`, { method: 'POST' })).status).toBe(404);
  await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
  await server.stop();
});
