import { anyOf, equals, integer, money, newestFirst, one, readModel, text, time } from '../../db/reads/model.js';
import { customerReads } from '../customers/customer.reads.js';
import { Contract } from './contract.entity.js';

/** The newest first: ids only grow. */
export const contractReads = readModel(Contract, {
  table: 'contracts',
  fields: {
    id: integer(),
    name: text(),
    status: text<Contract['status']>(),
    customer: one(() => customerReads, { customer_id: 'id' }),
    unitAmount: money('unit_amount'),
    interval: text<Contract['interval']>('billing_interval'),
    quantity: integer(),
    startsAt: time(),
    endsAt: time<Date | null>(),
  },
  order: newestFirst('id'),
  filters: { status: anyOf('status'), customerId: equals('customer_id') },
});
