import { control } from '../control.js';
import { type Resource } from '../resource.js';
import { accountLinks } from './account-links.js';
import { accounts } from './accounts.js';
import { accountsControl } from './accounts-control.js';
import { accountsV2 } from './accounts-v2.js';
import { events } from './events.js';
import { eventDestinations } from './event-destinations.js';
import { webhookEndpoints } from './webhook-endpoints.js';

/** Everything the sandbox offers. A new resource is one file and one line here. */
export const resources: Resource[] = [
  control,
  events,
  eventDestinations,
  webhookEndpoints,
  accounts,
  accountsV2,
  accountsControl,
  accountLinks,
];
