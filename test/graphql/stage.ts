import { createApp } from '../../src/app.js';
import { loadConfig } from '../../src/config.js';
import { freePort } from '../../dev/postgres.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type GraphqlAnswer, testEnvironment } from '../support/harness.js';

/** The real server without a Stripe: for what happens before anybody would ask it. */
export interface Stage {
  readonly url: string;
  readonly metricsUrl: string;
  readonly db: TestDatabase;
  /** Sends any body with any headers; a string goes as it is. */
  post(body: unknown, headers?: Record<string, string>): Promise<Response>;
  ask(query: string, variables?: object, token?: string): Promise<GraphqlAnswer<any>>; // eslint-disable-line @typescript-eslint/no-explicit-any -- answers of any shape
  stop(): Promise<void>;
}

export async function startStage(env: Record<string, string> = {}, shared?: TestDatabase): Promise<Stage> {
  const db = shared ?? (await createTestDatabase());
  const nowhere = {
    url: 'http://127.0.0.1:9',
    secretKey: 'sk_test_local_stage',
    publishableKey: 'pk_test_local_stage',
    webhookSecrets: { snapshot: 'whsec_stage', thin: 'whsec_stagethin' },
  };
  const settings = { ...testEnvironment(db, nowhere as never, await freePort(0)), PROCESS_ROLE: 'api', ...env };
  const app = await createApp(loadConfig(settings), { schedules: false });
  const { url, metricsPort } = await app.start();
  const post: Stage['post'] = (body, headers = {}) =>
    fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
    db,
    post,
    ask: async (query, variables = {}, token) => {
      const response = await post({ query, variables }, token ? { authorization: `Bearer ${token}` } : {});
      return { status: response.status, ...((await response.json()) as object) } as never;
    },
    stop: async () => {
      await app.stop();
      if (!shared) await db.drop();
    },
  };
}
