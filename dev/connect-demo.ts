import { graphql, poll } from './api-client.js';
import { type DevFile } from './dev-file.js';
import { demoTenants, type DemoTenant } from './seed.js';

interface Config {
  stripeConfig: { stripeAccountId: string; onboarding: string; applicationFeePercent: string } | null;
}
const configQuery = '{ stripeConfig { stripeAccountId onboarding applicationFeePercent } }';

/**
 * Brings the demo tenants' accounts at the local Stripe as far as their stage says, over the API like anybody else. What has got
 * that far already is left alone, so it can run at every start.
 */
export async function connectDemoTenants(dev: DevFile): Promise<void> {
  await Promise.all(
    demoTenants
      .filter(({ stage }) => stage !== 'none')
      .map((tenant) => connect(dev, tenant, dev.tokens.tenants.find(({ id }) => id === tenant.id)!.admin)),
  );
}

async function connect(dev: DevFile, tenant: DemoTenant, token: string): Promise<void> {
  const ask = <T>(query: string, variables?: object, as = token) => graphql<T>(dev.graphqlUrl, as, query, variables);
  let { stripeConfig } = await ask<Config>(configQuery);
  // A start that was cut short may have missed what happened meanwhile.
  if (stripeConfig && stripeConfig.onboarding !== 'DISCONNECTED') {
    const { syncConnectAccount } = await ask<{ syncConnectAccount: Config }>(
      `mutation { syncConnectAccount ${configQuery} }`,
    );
    stripeConfig = syncConnectAccount.stripeConfig;
  }
  if (!stripeConfig) {
    const created = await ask<{ createConnectAccount: Config }>(
      `mutation ($input: CreateConnectAccountInput!) { createConnectAccount(input: $input) ${configQuery} }`,
      { input: { email: tenant.email, country: 'US', businessName: tenant.name, idempotencyKey: `demo-${tenant.id}` } },
    );
    stripeConfig = created.createConnectAccount.stripeConfig!;
    await ask(
      `mutation ($input: UpdateApplicationFeeInput!) { updateApplicationFee(input: $input) { __typename } }`,
      { input: { tenantId: tenant.id, percent: '2.50', fixed: 0 } },
      dev.tokens.platformAdmin,
    );
  }
  if (tenant.stage === 'half') {
    if (stripeConfig.onboarding !== 'NOT_STARTED') return;
    await ask(`mutation { createAccountLink(input: { type: ONBOARDING }) { url } }`);
    return;
  }
  if (stripeConfig.onboarding === 'ACTIVE' || stripeConfig.onboarding === 'DISCONNECTED') return;
  const response = await fetch(`${dev.sandboxUrl}/_control/accounts/${stripeConfig.stripeAccountId}/onboard`, {
    method: 'POST',
  });
  if (!response.ok)
    throw new Error(`The local Stripe does not know ${stripeConfig.stripeAccountId}: ${await response.text()}`);
  await poll('webhook that says the account is active', async () => {
    const now = await ask<Config>(configQuery);
    return now.stripeConfig?.onboarding === 'ACTIVE';
  });
}
