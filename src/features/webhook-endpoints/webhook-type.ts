import { badInput } from '../../shared/errors.js';

/** What a tenant can be told of. Migration 0074 says when each happens. `ping` is sent when somebody asks for it. */
export const webhookTypes = [
  'payment.succeeded',
  'payment.failed',
  'payment.refunded',
  'invoice.paid',
  'subscription.created',
  'subscription.updated',
  'subscription.canceled',
  'dispute.created',
  'dispute.closed',
  'payout.paid',
  'payout.failed',
  'account.updated',
] as const;

/** @throws AppError BAD_USER_INPUT */
export function readTypes(types: readonly string[], field: string): string[] {
  const wanted = [...new Set(types)];
  const unknown = wanted.filter((type) => !(webhookTypes as readonly string[]).includes(type));
  if (unknown.length) throw badInput(field, `There is no such type. There are ${webhookTypes.join(', ')}.`);
  if (!wanted.length) throw badInput(field, 'Name at least one type.');
  return wanted;
}
