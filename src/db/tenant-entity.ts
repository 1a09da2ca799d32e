import 'reflect-metadata';
import { PrimaryKeyProp, type EntityManager } from '@mikro-orm/core';
import { PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { asUuid, newUuid, type Uuid } from '../shared/uuid.js';

/** Names of the settings that PostgreSQL's policies read. Set for one transaction at a time, by TenantDb alone. */
export const tenantSetting = 'app.tenant_id';
export const livemodeSetting = 'app.livemode';
/** Whether mails are taken down at all: without a mail server they would only pile up. No policy reads it. */
export const mailsSetting = 'app.mails';

/** A row that belongs to a tenant. It takes its tenant from the transaction it is written in; nobody else may choose one. */
abstract class TenantRow {
  @PrimaryKey({ type: 'uuid', onCreate: (_: object, em: EntityManager) => tenantOf(em) })
  tenantId!: Uuid;

  @Property({ type: 'datetime', defaultRaw: 'now()' })
  createdAt!: Date;

  @Property({ type: 'datetime', defaultRaw: 'now()' })
  updatedAt!: Date;
}

/** A row of the PSA's: it has an integer id, and is the same in test and live mode. */
export abstract class PsaRow extends TenantRow {
  [PrimaryKeyProp]?: ['tenantId', 'id'];

  @PrimaryKey({ type: 'integer', autoincrement: true })
  id!: number;
}

/** A row of ours: it has a time-ordered UUID, and belongs to test or to live mode. */
export abstract class ModeRow extends TenantRow {
  [PrimaryKeyProp]?: ['tenantId', 'id'];

  @PrimaryKey({ type: 'uuid', defaultRaw: 'uuidv7()' })
  id: Uuid = newUuid();

  /** The mode of the keys it was made with. Rows of the other mode are invisible. */
  @Property({ type: 'boolean', onCreate: (_: object, em: EntityManager) => livemodeOf(em) })
  livemode!: boolean;
}

/** The tenant of the transaction that an entity is written in. */
export function tenantOf(em: EntityManager): Uuid {
  return asUuid(em.getSessionContext()?.variables?.[tenantSetting]);
}

/** Whether that transaction works with live keys. */
export function livemodeOf(em: EntityManager): boolean {
  return em.getSessionContext()?.variables?.[livemodeSetting] === true;
}

/** Whether mails may be taken down in that transaction. */
export function mailsOf(em: EntityManager): boolean {
  return em.getSessionContext()?.variables?.[mailsSetting] === true;
}
