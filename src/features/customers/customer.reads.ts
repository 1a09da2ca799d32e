import { ascending, contains, integer, readModel, text, time } from '../../db/reads/model.js';
import { Customer } from './customer.entity.js';

/** By name, as people look for them. */
export const customerReads = readModel(Customer, {
  table: 'customers',
  fields: {
    id: integer(),
    name: text(),
    email: text(),
    createdAt: time(),
  },
  order: ascending('name', 'id'),
  filters: { search: contains('name', 'email') },
});
