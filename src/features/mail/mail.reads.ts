import {
  anyOf,
  before,
  equals,
  from,
  integer,
  newestFirst,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { Mail, type MailState } from './mail.entity.js';

/** Ids grow with time, so newest first is by id. */
export const mailReads = readModel(Mail, {
  table: 'mails',
  fields: {
    id: uuid<Uuid>(),
    key: text(),
    template: text(),
    customerId: integer<number | null>(),
    recipient: text<string | null>(),
    subject: text<string | null>(),
    state: text<MailState>(),
    attempts: integer(),
    sendUntil: time(),
    messageId: text<string | null>(),
    lastError: text<string | null>(),
    sentAt: time<Date | null>(),
    createdAt: time(),
  },
  order: newestFirst('id'),
  filters: {
    state: anyOf('state'),
    template: anyOf('template'),
    customerId: equals('customer_id'),
    createdAfter: from('created_at'),
    createdBefore: before('created_at'),
  },
});
