import { type Pipeline } from '../../src/db/reads/pipeline.js';
import { type Statement } from '../../src/db/reads/unit.js';

/** Asks a pipeline for one value, as a tenant would. */
export function askOn(
  pipeline: Pipeline,
  tenantId: string,
  sql: string,
  kind: Statement['kind'] = 'rows',
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const answer = ([row]: unknown[][]) => resolve(row?.[0]);
    void pipeline.run(['app_tenant', tenantId, 'false'], [{ kind, sql, parameters: [], resolve: answer, reject }]);
  });
}
