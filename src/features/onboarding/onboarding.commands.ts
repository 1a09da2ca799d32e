import { Command } from '../../jobs/commands/command.entity.js';
import { type CommandKind } from '../../jobs/commands/kind.js';
import { AppError } from '../../shared/errors.js';
import { type AccountReport } from '../../stripe/reports.js';
import { StripeFailure } from '../../stripe/stripe-errors.js';
import { type CreateConnectAccount } from '../../stripe/accounts.js';
import { audit } from '../audit/audit.js';
import { Tenant } from '../tenants/tenant.entity.js';
import { connectedAccount, noteDisconnection, stripeConfigOf } from './connected-account.js';
import { StripeAccount, StripeConfig } from './stripe-config.entity.js';

/** What a client asks for. */
export interface NewAccount {
  readonly country: string;
  readonly email: string;
  /** The tenant's own name unless given. */
  readonly businessName: string | null;
}

/** Makes the tenant's account at Stripe. One at a time: while one is not settled, another request is refused. */
export const createAccountCommand: CommandKind<NewAccount, CreateConnectAccount, AccountReport> = {
  name: 'onboarding.create-account',

  async prepare(em, { country, email, businessName }, command) {
    // There may be no row yet to lock.
    await em.execute(`select pg_advisory_xact_lock(hashtextextended('stripe account of ' || ?, 0))`, [
      command.tenantId,
    ]);
    // In this order: a command that is finished between the two looks has left its account behind.
    const open = await em.count(Command, { kind: command.kind, finishedAt: null, id: { $ne: command.id } });
    if (open > 0) throw new AppError('CONFLICT', 'A Stripe account is being made already.');
    const config = await stripeConfigOf(em, { lock: true });
    if (config && !config.disconnectedAt)
      throw new AppError('INVALID_STATE', 'There is a Stripe account already. Disconnect it before making another.');
    const tenant = await em.findOneOrFail(Tenant, { id: command.tenantId });
    const metadata = { tenant_id: command.tenantId, command_id: command.id };
    return { country, email, businessName: businessName ?? tenant.name, metadata };
  },

  send: ({ platform, plan }, key) => platform.createConnectAccount(plan, { key }),

  find: ({ platform, command }) =>
    platform.findAccount({ metadata: { command_id: command.id }, since: command.sentAt ?? command.createdAt }),

  async apply(em, { command, plan }, report) {
    const config = (await stripeConfigOf(em, { lock: true })) ?? new StripeConfig();
    config.connect(report);
    // From here on its events find their tenant; those that came before are parked, and released by this line.
    const account = new StripeAccount();
    Object.assign(account, { stripeAccountId: report.id, tenantId: command.tenantId, livemode: report.livemode });
    em.persist([config, account]);
    audit(em, {
      actor: command.actor,
      action: 'stripe-account.create',
      subjectType: 'stripe-account',
      subjectId: report.id,
      details: { country: plan.country },
    });
    await em.flush();
    return { stripeConfigId: config.id, stripeAccountId: report.id };
  },

  reject: () => Promise.resolve(),

  // An address and a name are not for the log of what was asked.
  keep: ({ country, metadata }) => ({ country, metadata }),
};

/** Whether Stripe confirmed that the platform has no access any more; where it does not, only the account's owner can take it away. */
interface Farewell {
  readonly isRevoked: boolean;
}

/**
 * Gives the tenant's account up. Nothing can be charged from the first step on; that Stripe takes the platform's access away as well is tried
 * until it is settled.
 */
export const disconnectCommand: CommandKind<object, object, Farewell> = {
  name: 'onboarding.disconnect',
  isRepeatable: true,

  async prepare(em, _params, command) {
    const config = await connectedAccount(em, { lock: true });
    command.subjectId = config.id;
    command.stripeAccountId = config.stripeAccountId;
    config.disconnect(command.createdAt);
    await noteDisconnection(em, config.stripeAccountId, command.createdAt);
    audit(em, {
      actor: command.actor,
      action: 'stripe-account.disconnect',
      subjectType: 'stripe-account',
      subjectId: config.stripeAccountId,
    });
    return {};
  },

  async send({ platform, command }, key) {
    if (!platform.canDisconnect) return { isRevoked: false };
    const { stripeAccountId: id } = command;
    try {
      await platform.disconnectAccount(id as StripeConfig['stripeAccountId'], { key });
      return { isRevoked: true };
    } catch (error) {
      if (!(error instanceof StripeFailure) || error.outcome === 'unknown') throw error;
      // Left open, so that it is tried again: on our side the account is given up already.
      if (error.isTransient) throw new Error('Stripe could not be asked to take the access away.', { cause: error });
      return { isRevoked: error.code === 'ACCOUNT_DISCONNECTED' };
    }
  },

  async find({ platform, command }) {
    try {
      await platform.retrieveAccount(command.stripeAccountId as StripeConfig['stripeAccountId']);
      return null;
    } catch (error) {
      if (error instanceof StripeFailure && error.code === 'ACCOUNT_DISCONNECTED') return { isRevoked: true };
      throw error;
    }
  },

  apply: (_em, { command }, { isRevoked }) =>
    Promise.resolve({ stripeConfigId: command.subjectId, isRevoked: String(isRevoked) }),

  reject: () => Promise.resolve(),
};

/** For recovery. */
export const onboardingCommands = [createAccountCommand, disconnectCommand] as const;
