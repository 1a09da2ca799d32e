import { type GraphQLResolveInfo } from 'graphql';
import { Args, Authorized, Ctx, Info, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { Role } from '../tenants/tenant.entity.js';
import { auditReads } from './audit.reads.js';
import { AuditEntry, AuditEntryConnection } from './audit-entry.entity.js';

/** What this resolver needs of the request. */
export interface AuditContext {
  readonly reads: Reads;
}

@Resolver()
export class AuditResolver {
  @Authorized(Role.ADMIN)
  @Query(() => AuditEntryConnection, { description: 'Who did what in the tenant, newest first. For its admins.' })
  auditLog(
    @Args(() => ForwardArgs) page: ForwardArgs,
    @Ctx() { reads }: AuditContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<AuditEntry>> {
    return reads.connection(auditReads, { page }, info);
  }
}
