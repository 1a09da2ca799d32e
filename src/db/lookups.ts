/**
 * How PostgreSQL plans where it is to follow an index as far as a page goes, and to look up by key what belongs to it. Every statement is planned for an
 * average tenant (see the policies); what is cheap for that one, to read all its rows and to sort or hash them, may take seconds for another. So a row
 * that is read is reckoned dear, and look-ups by key are what is left.
 * https://www.postgresql.org/docs/current/runtime-config-query.html
 */
export const lookups = {
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  cpu_tuple_cost: '100',
  // Compiling and parallel workers begin where a statement seems to cost much, which then all do.
  jit: 'off',
  max_parallel_workers_per_gather: '0',
};

/** Sets them for the rest of a transaction: to be selected, or given to a function. */
export const setLookups = Object.entries(lookups)
  .map(([name, value]) => `set_config('${name}', '${value}', true)`)
  .join(', ');
