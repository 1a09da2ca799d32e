import { ascending, integer, readModel, text, uuid } from '../../db/reads/model.js';
import { Tenant, User } from './tenant.entity.js';

export const tenantReads = readModel(Tenant, {
  table: 'tenants',
  fields: { id: uuid<Tenant['id']>(), name: text(), timeZone: text() },
  order: ascending('name', 'id'),
});

export const userReads = readModel(User, {
  table: 'users',
  fields: { id: integer(), name: text(), email: text() },
  order: ascending('name', 'id'),
});
