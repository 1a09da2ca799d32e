import { ascending, first, readModel, text, time, uuid } from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { stripeConfigReads } from '../onboarding/stripe-config.reads.js';
import { PlatformTenant } from './platform.types.js';

/** By name, as people look for them. */
export const platformTenantReads = readModel(PlatformTenant, {
  table: 'tenants',
  fields: {
    id: uuid<Uuid>(),
    name: text(),
    createdAt: time(),
    // The platform sees the accounts of both modes; a server speaks of those of its own.
    stripeConfig: first(() => stripeConfigReads, { id: 'tenant_id' }, { where: { isOfThisMode: true } }),
  },
  order: ascending('name', 'id'),
});
