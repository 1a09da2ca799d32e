import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../db/database.js';
import { type AccountStripe } from '../stripe/account-stripe.js';
import { StripeFailure } from '../stripe/stripe-errors.js';
import { type StripeService } from '../stripe/stripe.service.js';
import { type AccountId } from '../stripe/types.js';

// How a feature's rows are compared with what Stripe has. A feature exports its check; features/drift lists them all and runs them.

/** What a value is on one side. Text, numbers and switches: nothing personal, because differences are kept. */
type DriftValue = string | number | boolean | null;

/**
 * - `MISSING_HERE`: Stripe has it, and we do not.
 * - `MISSING_AT_STRIPE`: we have it, and Stripe does not know it.
 * - `DIFFERENT`: a field has another value.
 */
export type DriftKind = 'MISSING_HERE' | 'MISSING_AT_STRIPE' | 'DIFFERENT';

/** One difference, of one field of one object. */
export interface Difference {
  readonly kind: DriftKind;
  /** Null when the whole object is missing. */
  readonly field: string | null;
  readonly ours: DriftValue;
  readonly stripes: DriftValue;
  /** Our id of the object, where we have one. */
  readonly localId: string | null;
}

/** Whose objects are compared, and what with. */
export interface DriftContext {
  readonly db: TenantDb;
  readonly accountId: AccountId;
  /** Objects made before are left out, unless they can still change. */
  readonly since: Date;
  readonly stripe: AccountStripe;
  readonly platform: StripeService;
  /** To be awaited before every call to Stripe: keeps to the tenant's share of what Stripe allows. */
  spend(): Promise<void>;
}

/** An object that was looked at in passing. */
interface Candidate {
  readonly stripeId: string;
  /** It does not look the same; {@link DriftCheck.compare} will say. */
  readonly differs: boolean;
}

/** How one kind of object is compared with Stripe's and put right. */
export interface DriftCheck {
  /** `payment`, as reports name it. */
  readonly object: string;

  /** Looks at all objects, as cheaply as their lists allow. What seems to differ may only be in transit. */
  candidates(context: DriftContext): AsyncIterable<Candidate>;

  /** Compares one object for certain: reads it from Stripe, then looks at ours. */
  compare(context: DriftContext, stripeId: string): Promise<Difference[]>;

  /** Reads the object and applies it by the code that webhooks use. What that code refuses to undo stays different. */
  repair(context: DriftContext, stripeId: string): Promise<void>;
}

/** What one side says of an object, field by field. */
export type Facts = Readonly<Record<string, DriftValue>>;

/** What differs between the two sides' words on one object; either may have none. */
export function differencesOf(
  ours: { readonly id: string | null; readonly facts: Facts } | null,
  stripes: Facts | null,
): Difference[] {
  const localId = ours?.id ?? null;
  if (!ours && !stripes) return [];
  if (!ours) return [{ kind: 'MISSING_HERE', field: null, ours: null, stripes: null, localId }];
  if (!stripes) return [{ kind: 'MISSING_AT_STRIPE', field: null, ours: null, stripes: null, localId }];
  return Object.entries(stripes).flatMap(([field, value]) =>
    ours.facts[field] === value
      ? []
      : [{ kind: 'DIFFERENT' as const, field, ours: ours.facts[field] ?? null, stripes: value, localId }],
  );
}

/** Asks for a share of the budget before each page of a list of Stripe's. */
export async function* paced<T>(context: Pick<DriftContext, 'spend'>, list: AsyncIterable<T>): AsyncGenerator<T[]> {
  const pageSize = 100;
  let page: T[] = [];
  await context.spend();
  for await (const one of list) {
    page.push(one);
    if (page.length < pageSize) continue;
    yield page;
    page = [];
    await context.spend();
  }
  if (page.length > 0) yield page;
}

/** Objects of a kind that Stripe lists by when they were made. */
interface Listing<Listed, Report> {
  readonly list: AsyncIterable<Listed>;
  readonly report: (listed: Listed) => Report;
  readonly differences: (
    context: DriftContext,
    stripeId: string,
    report: NoInfer<Report>,
  ) => Promise<readonly Difference[]>;
  /** Selects the Stripe ids, as `id`, of ours that should be in that list, and of older ones that can still change. */
  readonly ours: readonly [sql: string, values: unknown[]];
}

/** Looks at what Stripe lists, and then names those of ours that were not among it. */
export async function* listedCandidates<Listed, Report extends { readonly id: string }>(
  context: DriftContext,
  { list, report, differences, ours: [sql, values] }: Listing<Listed, Report>,
): AsyncGenerator<Candidate> {
  const seen = new Set<string>();
  for await (const page of paced(context, list)) {
    for (const listed of page.map(report)) {
      seen.add(listed.id);
      yield { stripeId: listed.id, differs: (await differences(context, listed.id, listed)).length > 0 };
    }
  }
  const ours = await context.db.transaction((em) => em.execute<{ id: string }[]>(sql, values));
  for (const { id } of ours) if (!seen.has(id)) yield { stripeId: id, differs: true };
}

/** What Stripe answers; null where it knows no such object. */
export async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof StripeFailure && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

/** What is needed to apply something that is read from Stripe, with nothing written in between. */
export interface Repair<Report> {
  /** Locks the row and says which version of it this is; null when there is none. */
  version(em: EntityManager): Promise<string | null>;
  load(): Promise<Report>;
  apply(em: EntityManager, report: Report): Promise<unknown>;
}

/** As the worker does when an event's object has to be fetched: read, and applied only if the row has not moved meanwhile. */
export async function repairFetched<Report>(context: DriftContext, repair: Repair<Report>): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    const version = await context.db.transaction((em) => repair.version(em));
    await context.spend();
    const report = await repair.load();
    const isApplied = await context.db.transaction(async (em) => {
      if ((await repair.version(em)) !== version) return false;
      await repair.apply(em, report);
      return true;
    });
    if (isApplied) return;
  }
}
