import { type Server } from '../client.js';
import {
  AccountChangesDocument,
  type AccountFragment,
  BeginOnboardingDocument,
  OnboardingScreenDocument,
  OpenOnboardingFormDocument,
} from '../generated/graphql.js';

/** What the onboarding screen says: one line, by state. */
export function headlineOf(account: AccountFragment | null): string {
  if (!account) return 'Connect Stripe to take payments.';
  switch (account.onboarding) {
    case 'NOT_STARTED':
    case 'IN_PROGRESS':
      return `Stripe still needs ${account.requirements.currentlyDue.length} details.`;
    case 'IN_REVIEW':
      return 'Stripe is looking at your details.';
    case 'ACTIVE':
      return 'You can take payments.';
    case 'RESTRICTED':
      return `Restricted: ${account.requirements.disabledReason ?? 'Stripe needs more details'}.`;
    case 'DISCONNECTED':
      return 'The account is disconnected.';
  }
}

/** Sends the user to Stripe's form, making the account first if there is none. */
export async function goToStripe(server: Server, email: string, country: string): Promise<void> {
  const { stripeConfig } = await server.ask(OnboardingScreenDocument, {});
  if (!stripeConfig)
    await server.ask(BeginOnboardingDocument, { input: { email, country, idempotencyKey: crypto.randomUUID() } });
  const { createAccountLink } = await server.ask(OpenOnboardingFormDocument, { input: { type: 'ONBOARDING' } });
  location.assign(createAccountLink.url);
}

/** Keeps the screen current while Stripe's events come in. */
export function follow(server: Server, show: (headline: string) => void): () => void {
  return server.follow(AccountChangesDocument, {}, ({ stripeConfigUpdated }) => show(headlineOf(stripeConfigUpdated)));
}
