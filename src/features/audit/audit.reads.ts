import { json, newestFirst, readModel, text, time, uuid } from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { AuditEntry } from './audit-entry.entity.js';

export const auditReads = readModel(AuditEntry, {
  table: 'audit_log',
  fields: {
    id: uuid<Uuid>(),
    at: time(),
    actor: text(),
    action: text(),
    subjectType: text(),
    subjectId: text<string | null>(),
    details: json<Record<string, unknown>>(),
  },
  order: newestFirst('at', 'id'),
});
