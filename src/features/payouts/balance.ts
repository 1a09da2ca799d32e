import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { type TenantDb } from '../../db/database.js';
import { Money } from '../../shared/money.types.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type Balance as StripeBalance } from '../../stripe/types.js';
import { LedgerAccount } from '../ledger/chart.js';
import { totalsOf } from '../ledger/ledger-check.js';
import { balancesOf } from '../ledger/ledger-record.js';
import { connectedAccount } from '../onboarding/connected-account.js';

/** How well an account can pay what may be asked of it. */
export enum BalanceState {
  OK = 'OK',
  LOW = 'LOW',
  NEGATIVE = 'NEGATIVE',
}
registerEnumType(BalanceState, {
  name: 'BalanceState',
  description: 'How well the account can pay for refunds and disputes.',
  valuesConfig: {
    OK: { description: 'What is available would cover another week like the last.' },
    LOW: {
      description: 'In some currency less is available than refunds and disputes took within the last seven days.',
    },
    NEGATIVE: { description: 'In some currency the account owes Stripe money; Stripe may debit the bank.' },
  },
});

@ObjectType({ description: 'What lies at Stripe. One amount per currency.' })
export class Balance {
  @Field(() => [Money], { description: 'What can be paid out or refunded now; negative when money is owed.' })
  readonly available!: Money[];

  @Field(() => [Money], { description: 'What was taken and is not available yet.' })
  readonly pending!: Money[];

  @Field(() => [Money], {
    description: 'What the books say lies at Stripe: available and pending together, but for what was booked just now.',
  })
  readonly ledger!: Money[];

  @Field(() => [Money], { description: 'What left Stripe and has not arrived at the bank.' })
  readonly inTransit!: Money[];

  @Field(() => BalanceState, { description: 'Whether it suffices.' })
  readonly state!: BalanceState;
}

/** Whether what is available would do. Both by currency, in minor units. */
export function balanceState(
  stripe: Pick<StripeBalance, 'available' | 'pending'>,
  outflow: ReadonlyMap<string, number>,
): BalanceState {
  if ([...totalsOf(stripe).values()].some((total) => total < 0)) return BalanceState.NEGATIVE;
  const isLow = stripe.available.some(({ currency, amount }) => amount < (outflow.get(currency) ?? 0));
  return isLow ? BalanceState.LOW : BalanceState.OK;
}

/** The money of one tenant that lies at Stripe. */
export class BalanceService {
  constructor(
    private readonly db: TenantDb,
    private readonly stripe: StripeService,
  ) {}

  /** @throws AppError TENANT_NOT_READY | ACCOUNT_DISCONNECTED | STRIPE_UNAVAILABLE */
  async balance(): Promise<Balance> {
    const account = await this.db.transaction((em) => connectedAccount(em));
    const stripe = await this.stripe.forAccount(account.stripeAccountId).retrieveBalance();
    const [ledger, inTransit, outflow] = await this.db.transaction(async (em) => {
      const rows = await em.execute<{ currency: string; total: string }[]>(
        `select currency, sum(amount) as total from ledger_postings
         where account in ('REFUNDS', 'DISPUTES') and booked_at > now() - interval '7 days' group by 1`,
      );
      return [
        await balancesOf(em, LedgerAccount.STRIPE_BALANCE),
        await balancesOf(em, LedgerAccount.PAYOUTS),
        new Map(rows.map(({ currency, total }) => [currency, Number(total)])),
      ];
    });
    const money = (amounts: Iterable<readonly [string, number]>) =>
      [...amounts].map(([currency, amount]) => new Money(amount, currency));
    return {
      available: stripe.available.map(({ amount, currency }) => new Money(amount, currency)),
      pending: stripe.pending.map(({ amount, currency }) => new Money(amount, currency)),
      ledger: money(ledger),
      inTransit: money(inTransit),
      state: balanceState(stripe, outflow),
    };
  }
}
