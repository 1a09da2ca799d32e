import { type MikroORM } from '@mikro-orm/postgresql';
import { type EntityManager } from '@mikro-orm/postgresql';
import { asUuid, type Uuid } from '../shared/uuid.js';
import { livemodeSetting, mailsSetting, tenantSetting } from './tenant-entity.js';

/** What every transaction begins with: a hung statement must not hold a request for ever, nor an abandoned transaction its locks. */
const timeouts = { statement_timeout: '10s', idle_in_transaction_session_timeout: '30s' } as const;

/**
 * The process's database: hands out one view per tenant, one for workers and one for the platform's own people. The login role may do
 * nothing by itself; each transaction switches to the role of its view, so a query outside of one fails.
 */
export class Database {
  constructor(
    readonly orm: MikroORM,
    /** Whether this process holds live keys. Rows of the other mode are out of its reach. */
    readonly livemode: boolean,
    /** Whether there is a mail server, so that mails may be taken down. */
    readonly mails: boolean = false,
  ) {}

  /** @param tenantId from verified token claims, the account an event names, or a claimed job; never from an argument */
  tenant(tenantId: string): TenantDb {
    return new TenantDb(this.orm, asUuid(tenantId), this.livemode, this.mails);
  }

  /** The inbox, the account directory and abandoned commands, of all tenants; no tenant's own rows. */
  worker<T>(work: (em: EntityManager) => Promise<T>): Promise<T> {
    return this.as('app_worker', work);
  }

  /** How much, over all tenants; never who: names and addresses of a tenant's customers are not readable here. */
  platform<T>(work: (em: EntityManager) => Promise<T>): Promise<T> {
    return this.as('app_platform', work);
  }

  private as<T>(role: string, work: (em: EntityManager) => Promise<T>): Promise<T> {
    return this.orm.em.fork({ session: { variables: { role, ...timeouts } } }).transactional(work);
  }
}

/** One tenant's view of the database. There is no other way to reach a tenant's rows. */
export class TenantDb {
  constructor(
    private readonly orm: MikroORM,
    readonly tenantId: Uuid,
    readonly livemode: boolean,
    private readonly mails: boolean = false,
  ) {}

  /** Runs `work` in one transaction that PostgreSQL restricts to this tenant's rows. Short, and nothing over the network inside. */
  transaction<T>(work: (em: EntityManager) => Promise<T>): Promise<T> {
    const variables = {
      role: 'app_tenant',
      [tenantSetting]: this.tenantId,
      [livemodeSetting]: this.livemode,
      ...(this.mails && { [mailsSetting]: true }),
      ...timeouts,
    };
    return this.orm.em.fork({ session: { variables } }).transactional(work);
  }
}
