import {
  anyOf,
  ascending,
  before,
  boolean,
  computed,
  equals,
  extendReads,
  first,
  from,
  integer,
  list,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Reads } from '../../db/reads/reads.js';
import { type Uuid } from '../../shared/uuid.js';
import { customerReads } from '../customers/customer.reads.js';
import { invoiceReads } from '../invoices/invoice.reads.js';
import { DunningCase, DunningState } from './dunning-case.entity.js';
import { DunningSettings } from './dunning-settings.entity.js';
import { DunningStep } from './dunning-step.entity.js';

const dunningStepReads = readModel(DunningStep, {
  table: 'dunning_steps',
  fields: {
    number: integer(),
    kind: text<DunningStep['kind']>(),
    at: time(),
    outcome: text<DunningStep['outcome']>(),
    declineCode: text<string | null>(),
    doneAt: time<Date | null>(),
    mailed: boolean<boolean>(),
  },
  order: ascending('at', 'number'),
});

/** Ids grow with time, so newest first is by id. */
export const dunningCaseReads = readModel(DunningCase, {
  table: 'dunning_cases',
  fields: {
    id: uuid<Uuid>(),
    invoice: one(() => invoiceReads, { invoice_id: 'id' }),
    customer: one(() => customerReads, { customer_id: 'id' }),
    steps: list(() => dunningStepReads, { id: 'case_id' }),
    amount: money('amount'),
    retries: text<DunningCase['retries']>(),
    end: text<DunningCase['end']>('at_end'),
    state: text<DunningCase['state']>(),
    stopReason: text<DunningCase['stopReason']>(),
    declineCode: text<string | null>(),
    openedAt: time(),
    // A case that is over may still be visited, to write down what came of its last step.
    nextAt: computed({ state: text<DunningCase['state']>(), nextAt: time<Date | null>() }, ({ state, nextAt }) =>
      state === DunningState.OPEN ? nextAt : null,
    ),
    closedAt: time<Date | null>(),
    failures: integer(),
    failingSince: time<Date | null>(),
  },
  order: newestFirst('id'),
  filters: {
    state: anyOf('state'),
    customerId: equals('customer_id'),
    openedAfter: from('opened_at'),
    openedBefore: before('opened_at'),
  },
});

extendReads(invoiceReads, { dunning: first(() => dunningCaseReads, { id: 'invoice_id' }) });

/** The tenant's settings, as set, or as they are without. */
export async function readSettings(reads: Reads): Promise<DunningSettings> {
  const [row] = await reads.figures('select retries, to_json(retry_days), at_end, emails from dunning_settings');
  const settings = new DunningSettings();
  if (!row) return settings;
  const [retries, days, end, emails] = row;
  return Object.assign(settings, { retries, retryDays: JSON.parse(days!) as number[], end, emails: emails === 't' });
}
