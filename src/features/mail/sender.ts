import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { Tenant } from '../tenants/tenant.entity.js';
import { type Sender } from './letter.js';
import { MailSettings } from './mail-settings.entity.js';

/** How the tenant of this transaction writes. */
export async function senderOf(em: EntityManager): Promise<Sender> {
  const tenant = await em.findOneOrFail(Tenant, { id: tenantOf(em) });
  const settings = (await em.findOne(MailSettings, { livemode: livemodeOf(em) })) ?? new MailSettings();
  const { senderName, replyTo, postalAddress, logoUrl, brandColor, locale } = settings;
  return {
    ...{ tenant: tenant.name, timeZone: tenant.timeZone },
    ...{ senderName, replyTo, postalAddress, logoUrl, brandColor, locale },
  };
}
