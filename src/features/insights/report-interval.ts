import { registerEnumType } from 'type-graphql';
import { badInput } from '../../shared/errors.js';

/** How long a period of a report is. */
export enum ReportInterval {
  DAY = 'DAY',
  WEEK = 'WEEK',
  MONTH = 'MONTH',
}
registerEnumType(ReportInterval, {
  name: 'ReportInterval',
  description: 'How long a period is. Periods begin at midnight where the tenant is.',
  valuesConfig: {
    DAY: { description: 'From midnight to midnight; 23 or 25 hours when the clock is changed.' },
    WEEK: { description: 'From Monday on.' },
    MONTH: { description: 'From the first on.' },
  },
});

/** From when to when is asked. */
export interface Range {
  readonly from: Date;
  /** Not included. */
  readonly to: Date;
}

const days: Record<ReportInterval, number> = { DAY: 1, WEEK: 7, MONTH: 28 };
const maxPeriods = 750;

/**
 * Refuses what cannot be answered, or would be answered with more than anybody reads.
 * @throws AppError BAD_USER_INPUT
 */
export function checkRange({ from, to }: Range, interval: ReportInterval): void {
  if (to <= from) throw badInput('to', '`to` must be after `from`.');
  if ((+to - +from) / 86_400_000 / days[interval] > maxPeriods)
    throw badInput('to', `That is more than ${maxPeriods} periods; ask for a part, or for longer ones.`);
}

/** As PostgreSQL calls it. */
export function unitOf(interval: ReportInterval): string {
  return interval.toLowerCase();
}

/** What a statement is asked with, as it stands in the statement. */
export interface AskedPeriods {
  readonly from: string;
  readonly to: string;
  /** As `date_trunc` has it. */
  readonly unit: string;
}

/** By its first three parameters. */
export const givenPeriods: AskedPeriods = { from: '$1::timestamptz', to: '$2::timestamptz', unit: '$3::text' };

/**
 * What a statement begins with that is about periods: `span` has the first and the last of them as the wall shows it, and the instants at which they
 * begin and end.
 * @param zone rows of one time zone
 */
export const spanOf = (zone: string, { from, to, unit }: AskedPeriods = givenPeriods): string => `
  bounds as (
    select zone, ('1 ' || ${unit})::interval as step, date_trunc(${unit}, ${from} at time zone zone) as first,
      date_trunc(${unit}, (${to} - interval '1 microsecond') at time zone zone) as last
    from (${zone}) zones
  ), span as (
    select *, psa_payments_start(first, zone) as "from", psa_payments_start(last + step, zone) as "to" from bounds
  )`;
