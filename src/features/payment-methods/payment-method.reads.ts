import {
  anyOf,
  boolean,
  computed,
  equals,
  integer,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { systemClock } from '../../shared/clock.js';
import { type Uuid } from '../../shared/uuid.js';
import { customerReads } from '../customers/customer.reads.js';
import { methodStatusAt, PaymentMethod } from './payment-method.entity.js';

export const paymentMethodReads = readModel(PaymentMethod, {
  table: 'payment_methods',
  fields: {
    id: uuid<Uuid>(),
    customer: one(() => customerReads, { customer_id: 'id' }),
    stripePaymentMethodId: text<PaymentMethod['stripePaymentMethodId']>(),
    type: text<PaymentMethod['type']>(),
    brand: text<string | null>(),
    last4: text<string | null>(),
    expMonth: integer<number | null>(),
    expYear: integer<number | null>(),
    bankName: text<string | null>(),
    mandateStatus: text<PaymentMethod['mandateStatus']>(),
    isDefault: boolean<boolean>(),
    status: computed(
      {
        status: text<PaymentMethod['status']>(),
        mandateStatus: text<PaymentMethod['mandateStatus']>(),
        expMonth: integer<number | null>(),
        expYear: integer<number | null>(),
      },
      (row) => methodStatusAt(row, systemClock.now()),
    ),
    createdAt: time(),
  },
  order: newestFirst('createdAt', 'id'),
  filters: { customerId: equals('customer_id'), storedStatus: anyOf('status') },
});
