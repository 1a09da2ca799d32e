import { isDeepStrictEqual } from 'node:util';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { type FeeRule } from '../../shared/fee.js';
import { orderOf, type Order } from '../../shared/ordering.js';
import { DateTimeScalar, DecimalScalar, SafeIntScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountReport } from '../../stripe/reports.js';
import { type AccountId } from '../../stripe/types.js';

export enum OnboardingStatus {
  NOT_STARTED = 'NOT_STARTED',
  IN_PROGRESS = 'IN_PROGRESS',
  IN_REVIEW = 'IN_REVIEW',
  ACTIVE = 'ACTIVE',
  RESTRICTED = 'RESTRICTED',
  DISCONNECTED = 'DISCONNECTED',
}
registerEnumType(OnboardingStatus, {
  name: 'OnboardingStatus',
  description: "How far a tenant's Stripe account is.",
  valuesConfig: {
    NOT_STARTED: { description: 'Nobody has been sent to the form yet.' },
    IN_PROGRESS: { description: 'Stripe is waiting for details.' },
    IN_REVIEW: { description: 'All is filled in; Stripe is checking it.' },
    ACTIVE: { description: 'It can take payments and be paid out.' },
    RESTRICTED: { description: 'Stripe has switched something off until a requirement is met.' },
    DISCONNECTED: { description: 'The tenant has left, or Stripe has. Nothing can be charged; the history stays.' },
  },
});

@ObjectType({ description: 'A problem with something that was given to Stripe.' })
export class RequirementError {
  @Field(() => String, { description: "Stripe's code for the problem." })
  code!: string;

  @Field(() => String, { description: 'What is wrong, for people.' })
  reason!: string;

  @Field(() => String, { description: 'The requirement it is about.' })
  requirement!: string;
}

/** https://docs.stripe.com/connect/handling-api-verification */
@ObjectType({ description: 'What Stripe still wants to know about the tenant.' })
export class AccountRequirements {
  @Field(() => [String], { description: 'Needed by the deadline, to keep the account working.' })
  currentlyDue: string[] = [];

  @Field(() => [String], { description: 'Needed later, once more has been paid.' })
  eventuallyDue: string[] = [];

  @Field(() => [String], { description: 'The deadline has passed: something is switched off.' })
  pastDue: string[] = [];

  @Field(() => [String], { description: 'Given, and being checked.' })
  pendingVerification: string[] = [];

  @Field(() => [RequirementError], { description: 'What was given and refused.' })
  errors: RequirementError[] = [];

  @Field(() => DateTimeScalar, { nullable: true, description: 'When what is currently due must be there.' })
  deadline: string | null = null;

  @Field(() => String, { nullable: true, description: "Stripe's reason why the account is switched off." })
  disabledReason: string | null = null;
}

/** A tenant's Stripe account as we last heard of it, and what the platform takes of its payments. */
@ObjectType({ description: "The tenant's Stripe account and its settings." })
@Entity({ tableName: 'stripe_config' })
export class StripeConfig extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Field(() => String, { description: "The account's id at Stripe." })
  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Property({ type: 'character', length: 2, nullable: true })
  country: string | null = null;

  @Property({ type: 'character', length: 3, nullable: true })
  defaultCurrency: string | null = null;

  @Field(() => Boolean, { description: 'Whether it can take payments.' })
  @Property({ type: 'boolean' })
  chargesEnabled: boolean = false;

  @Field(() => Boolean, { description: 'Whether Stripe pays it out.' })
  @Property({ type: 'boolean' })
  payoutsEnabled: boolean = false;

  @Field(() => Boolean, { description: 'Whether the first form was handed in. More may still be required.' })
  @Property({ type: 'boolean' })
  detailsSubmitted: boolean = false;

  @Field(() => AccountRequirements, { description: 'What Stripe still wants.' })
  @Property({ type: 'json', defaultRaw: `'{}'` })
  requirements: AccountRequirements = new AccountRequirements();

  @Field(() => DecimalScalar, { description: 'Part of each payment that the platform takes, in percent, 0 to 100.' })
  @Property({ type: 'decimal', precision: 5, scale: 2 })
  applicationFeePercent: string = '0.00';

  @Field(() => SafeIntScalar, { description: 'Added to it per payment, in minor units of its currency.' })
  @Property({ type: 'bigint' })
  applicationFeeFixed: number = 0;

  @Property({ type: 'datetime', nullable: true })
  disconnectedAt: Date | null = null;

  /** Stripe's time of the state above; never our own clock's. */
  @Property({ type: 'datetime', nullable: true })
  stripeAsOf: Date | null = null;

  @Property({ type: 'json', defaultRaw: `'{}'` })
  metadata: Record<string, unknown> = {};

  @Field(() => Boolean, { description: 'Whether it is of live mode; false for test mode.' })
  declare livemode: boolean;

  @Field(() => DateTimeScalar, { description: 'When the account was made.' })
  declare createdAt: Date;

  @Field(() => DateTimeScalar, { description: 'When what we know of it last changed.' })
  declare updatedAt: Date;

  @Field(() => OnboardingStatus, { description: 'How far it is.' })
  get onboarding(): OnboardingStatus {
    return onboardingStatus(this);
  }

  get feeRule(): FeeRule {
    return { percent: this.applicationFeePercent, fixed: this.applicationFeeFixed };
  }

  /**
   * Starts over with a new account. The fee rule stays; what was known of the account before is gone from here, and its line in the
   * directory keeps that it was the tenant's.
   */
  connect(report: AccountReport): void {
    this.stripeAccountId = report.id;
    this.disconnectedAt = null;
    this.stripeAsOf = null;
    this.metadata = {};
    // Made a moment ago: whatever is reported of it later is newer than this, so there is no stamp to hold on to.
    this.takeOver(report);
  }

  /** Notes that somebody was given a way into Stripe's form. */
  noteLink(at: Date): void {
    this.metadata = { ...this.metadata, linkedAt: this.metadata.linkedAt ?? at.toISOString() };
  }

  /** Nothing can be charged from here on. Final for this account. */
  disconnect(at: Date): void {
    this.disconnectedAt ??= at;
    this.chargesEnabled = false;
    this.payoutsEnabled = false;
  }

  /**
   * Takes over what Stripe reports of the account. Reports arrive twice and out of order; a stale one changes nothing.
   * @param asOf Stripe's stamp of the report; null when it was asked for without an event
   * @param fetched whether it was read from Stripe just now
   */
  applyStripe(report: AccountReport, asOf: Date | null, fetched: boolean): Order {
    const known = { asOf: this.stripeAsOf, isFinal: this.disconnectedAt !== null };
    const order = orderOf(known, asOf ?? this.stripeAsOf ?? new Date(0), fetched);
    if (order !== 'newer') return order;
    this.takeOver(report);
    if (asOf && (!this.stripeAsOf || asOf > this.stripeAsOf)) this.stripeAsOf = asOf;
    return order;
  }

  /** Whether an event of that time has nothing new to say: the account was read on account of a later one, or it is gone. */
  isSettledBefore(created: Date): boolean {
    return this.disconnectedAt !== null || (this.stripeAsOf !== null && created < this.stripeAsOf);
  }

  /** Whether the report says what is known already. */
  agreesWith(report: AccountReport): boolean {
    return isDeepStrictEqual(
      [...switchesOf(this), { ...this.requirements }],
      [...switchesOf(report), requirementsOf(report)],
    );
  }

  private takeOver(report: AccountReport): void {
    this.chargesEnabled = report.chargesEnabled;
    this.payoutsEnabled = report.payoutsEnabled;
    this.detailsSubmitted = report.detailsSubmitted;
    this.country = report.country;
    this.defaultCurrency = report.defaultCurrency;
    this.requirements = requirementsOf(report);
  }
}

/** What the state of an account is told by; a row of the table has it, and so has the entity. */
export interface AccountFacts {
  readonly chargesEnabled: boolean;
  readonly payoutsEnabled: boolean;
  readonly detailsSubmitted: boolean;
  readonly requirements: Partial<AccountRequirements>;
  readonly disconnectedAt: Date | string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Stripe's reasons that ask nothing of anybody: it is looking. https://docs.stripe.com/api/accounts/object#account_object-requirements-disabled_reason */
const stripeIsLooking = new Set(['requirements.pending_verification', 'under_review', 'listed']);

/**
 * How far an account is. An account that was never filled in is past due and switched off at Stripe, too: so whether the form was
 * handed in is asked before what is due.
 */
export function onboardingStatus(account: AccountFacts): OnboardingStatus {
  if (account.disconnectedAt) return OnboardingStatus.DISCONNECTED;
  if (account.chargesEnabled && account.payoutsEnabled) return OnboardingStatus.ACTIVE;
  if (!account.detailsSubmitted)
    return account.metadata.linkedAt ? OnboardingStatus.IN_PROGRESS : OnboardingStatus.NOT_STARTED;
  const { currentlyDue, pastDue, pendingVerification, disabledReason } = completeRequirements(account.requirements);
  if (pastDue.length > 0 || (disabledReason !== null && !stripeIsLooking.has(disabledReason)))
    return OnboardingStatus.RESTRICTED;
  if (currentlyDue.length > 0) return OnboardingStatus.IN_PROGRESS;
  // Charges without payouts, and nothing that is being checked: Stripe holds the money back.
  return pendingVerification.length > 0 || !account.chargesEnabled
    ? OnboardingStatus.IN_REVIEW
    : OnboardingStatus.RESTRICTED;
}

type Switches = Pick<
  AccountReport,
  'chargesEnabled' | 'payoutsEnabled' | 'detailsSubmitted' | 'country' | 'defaultCurrency'
>;

function switchesOf(account: Switches): unknown[] {
  const { chargesEnabled, payoutsEnabled, detailsSubmitted, country, defaultCurrency } = account;
  return [chargesEnabled, payoutsEnabled, detailsSubmitted, country, defaultCurrency];
}

/** A line that was written before Stripe reported anything, or by hand, may lack some. */
export function completeRequirements(requirements: Partial<AccountRequirements>): AccountRequirements {
  return { ...new AccountRequirements(), ...requirements };
}

function requirementsOf({ requirements }: AccountReport): AccountRequirements {
  return {
    currentlyDue: [...requirements.currentlyDue],
    eventuallyDue: [...requirements.eventuallyDue],
    pastDue: [...requirements.pastDue],
    pendingVerification: [...requirements.pendingVerification],
    errors: requirements.errors.map(({ code, reason, requirement }) => ({ code, reason, requirement })),
    deadline: requirements.currentDeadline?.toISOString() ?? null,
    disabledReason: requirements.disabledReason,
  };
}

/** Finds the tenant of an account, also of one that has left. Global: read by workers. */
@Entity({ tableName: 'stripe_accounts' })
export class StripeAccount {
  @PrimaryKey({ type: 'text' })
  stripeAccountId!: AccountId;

  @Property({ type: 'uuid' })
  tenantId!: Uuid;

  @Property({ type: 'boolean' })
  livemode!: boolean;

  @Property({ type: 'datetime', defaultRaw: 'now()' })
  createdAt!: Date;

  @Property({ type: 'datetime', nullable: true })
  disconnectedAt: Date | null = null;
}
