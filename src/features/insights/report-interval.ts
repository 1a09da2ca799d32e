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
