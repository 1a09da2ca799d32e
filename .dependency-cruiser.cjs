// The whole import rule. Each list is ordered: an entry may import what stands AFTER it, never before it.
const floors = ['main|app', 'graphql|webhooks', 'features', 'jobs', 'db|stripe', 'shared|config'];
const features = [
  'platform',
  'schedules',
  'insights',
  'drift',
  'webhook-events',
  'webhook-endpoints',
  'notices',
  'dunning',
  'payouts',
  'ledger',
  'disputes',
  'refunds',
  'pay-page',
  'live',
  'payments',
  'payment-methods',
  'invoices',
  'subscriptions',
  'contracts',
  'portal',
  'onboarding',
  'customers',
  'mail',
  'audit',
  'tenants',
];

const upward = (list, path) =>
  list.slice(1).map((from, i) => ({
    name: `${from.replace(/\|/g, '-')}-imports-upward`,
    severity: 'error',
    from: { path: path(from) },
    to: { path: path(list.slice(0, i + 1).join('|')) },
  }));

module.exports = {
  forbidden: [
    ...upward(floors, (names) => `^src/(${names})(/|\\.ts$)`),
    ...upward(features, (names) => `^src/features/(${names})/`),
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'src-stands-alone', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|dev|sandbox)/' } },
    {
      name: 'sandbox-stands-alone',
      severity: 'error',
      from: { path: '^sandbox/src/' },
      to: { path: '^(src|dev|test)/' },
    },
    {
      name: 'nobody-imports-the-sandbox',
      severity: 'error',
      from: { path: '^(src|dev|test)/' },
      to: { path: '^sandbox/(src|dist)/' },
    },
    {
      name: 'only-stripe-imports-the-sdk',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/stripe/' },
      to: { path: 'node_modules/stripe/' },
    },
    {
      // Some 12 MB that a process that serves requests must not hold.
      name: 'pg-boss-is-loaded-when-it-is-needed',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/jobs/schedules/boss-database\\.ts$' },
      to: {
        path: 'node_modules/pg-boss/|^src/jobs/schedules/boss-database\\.ts$',
        dynamic: false,
        dependencyTypesNot: ['type-only'],
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
