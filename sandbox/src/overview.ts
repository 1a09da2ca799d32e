import { type Delivery } from './deliveries.js';
import { escapeHtml, page } from './dashboard.js';
import { formatMoney } from './money.js';
import { balanceOf } from './resources/balance.js';
import { type LoggedRequest, type Sandbox } from './sandbox.js';
import { type Partition } from './store.js';

const shown = 60;

const style = `<style>
  body { max-width: 84rem }
  header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1.5rem; border-bottom: 1px solid var(--line); padding-bottom: .75rem }
  header h1 { margin: 0 } nav { margin-left: auto; display: flex; gap: 1rem }
  .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.25rem 0 }
  .tile { border: 1px solid var(--line); border-radius: .6rem; padding: .6rem .9rem } .tile b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
  .scroll { overflow-x: auto } td { vertical-align: top; white-space: nowrap } td.wrap { white-space: normal } th { font-weight: 500; color: var(--soft) }
  tr:hover td { background: #8881 }
  .pill { display: inline-block; padding: 0 .5rem; border-radius: 1rem; font-size: .8rem; line-height: 1.35rem; background: #8883 }
  .good { background: #2a9d5c33 } .bad { background: #d6456b44 } .wait { background: #d9a40044 }
</style>`;

type Tone = 'good' | 'bad' | 'wait' | '';
const pill = (text: string | number, tone: Tone = ''): string =>
  `<span class="pill ${tone}">${escapeHtml(text)}</span>`;
const code = (text: string): string => `<code>${escapeHtml(text)}</code>`;
const timeOf = (ms: number): string => new Date(ms).toISOString().slice(11, 19);

function table(caption: string, heads: string[], rows: string[][]): string {
  const cells = (row: string[]): string => row.map((cell) => `<td>${cell}</td>`).join('');
  const body = rows.map((row) => `<tr>${cells(row)}</tr>`).join('');
  const empty = `<tr><td colspan="${heads.length}" class="soft">none yet</td></tr>`;
  return `<section><h2>${escapeHtml(caption)}</h2><div class="scroll"><table aria-label="${escapeHtml(caption)}"><thead><tr>${heads
    .map((head) => `<th scope="col">${escapeHtml(head)}</th>`)
    .join('')}</tr></thead><tbody>${body || empty}</tbody></table></div></section>`;
}

const accountLink = (sandbox: Sandbox, id: string): string =>
  id === ''
    ? ''
    : `<a href="/?account=${encodeURIComponent(id)}">${code(id)}</a>${id === sandbox.platform ? ' <span class="soft">platform</span>' : ''}`;

function accountRow(sandbox: Sandbox, partition: Partition): string[] {
  const id = partition.account;
  const ctx = sandbox.context(id);
  const account = ctx.platform.table('account').get(id);
  const { available, pending } = balanceOf(ctx);
  const sums = available.map(
    ({ amount, currency }, i) =>
      `${formatMoney(amount, currency)}${pending[i]?.amount ? ` <span class="soft">+ ${formatMoney(pending[i].amount, currency)}</span>` : ''}`,
  );
  const counts = partition.counts();
  const count = (name: string): string => String(counts[name] ?? 0);
  const isGone = id !== sandbox.platform && !sandbox.isConnected(id);
  return [
    accountLink(sandbox, id),
    escapeHtml(account?.business_profile?.name ?? account?.email ?? ''),
    isGone
      ? pill('disconnected', 'bad')
      : [
          pill(account?.charges_enabled ? 'charges' : 'no charges', account?.charges_enabled ? 'good' : 'wait'),
          pill(account?.payouts_enabled ? 'payouts' : 'no payouts', account?.payouts_enabled ? 'good' : 'wait'),
        ].join(' '),
    sums.join('<br>'),
    count('customer'),
    count('payment_intent'),
    count('subscription'),
    count('invoice'),
    count('event'),
  ];
}

function requestRow(sandbox: Sandbox, request: LoggedRequest): string[] {
  return [
    `<span class="soft">${timeOf(request.at)}</span>`,
    pill(
      request.status === 0 ? 'reset' : request.status,
      request.status >= 200 && request.status < 300 ? 'good' : 'bad',
    ),
    code(`${request.method} ${request.path}`),
    accountLink(sandbox, request.account),
    escapeHtml(request.error ?? ''),
    code(request.id),
  ];
}

const tones: Record<Delivery['state'], Tone> = {
  succeeded: 'good',
  failed: 'bad',
  dropped: 'bad',
  held: 'wait',
  pending: 'wait',
  sending: 'wait',
};

function deliveryRow(sandbox: Sandbox, delivery: Delivery): string[] {
  const attempts = delivery.attempts.map(({ status, error }) => escapeHtml(status ?? error ?? ''));
  const last = delivery.attempts.at(-1);
  return [
    `<span class="soft">${last ? timeOf(last.at) : ''}</span>`,
    pill(delivery.state, tones[delivery.state]),
    `<a href="/_control/deliveries/${encodeURIComponent(delivery.id)}">${escapeHtml(delivery.type)}</a>${delivery.kind === 'thin' ? ' <span class="soft">thin</span>' : ''}`,
    accountLink(sandbox, delivery.account),
    attempts.join(', '),
    escapeHtml(delivery.url),
    code(delivery.event),
  ];
}

const latest = <T>(items: T[]): T[] => items.slice(-shown).reverse();

/**
 * What stands at `/`: accounts, the latest requests and deliveries, of all or of one account.
 * @param filter.refresh seconds after which the page loads itself again
 */
export function overview(sandbox: Sandbox, filter: { account?: string; refresh?: number } = {}): string {
  const { account, refresh } = filter;
  const ofAccount = (id: string): boolean => account === undefined || id === account;
  const partitions = [...sandbox.store.all()];
  const deliveries = sandbox.deliveries.list().filter((delivery) => ofAccount(delivery.account));
  const requests = sandbox.requests.filter((request) => ofAccount(request.account));
  const objects = partitions
    .filter((partition) => ofAccount(partition.account))
    .reduce((sum, partition) => Object.values(partition.counts()).reduce((part, count) => part + count, sum), 0);
  const waiting = deliveries.filter(
    ({ state }) => state === 'pending' || state === 'sending' || state === 'held',
  ).length;
  const failed = deliveries.filter(({ state }) => state === 'failed' || state === 'dropped').length;
  const tile = (name: string, value: string | number): string =>
    `<div class="tile"><b>${escapeHtml(value)}</b><span class="soft">${escapeHtml(name)}</span></div>`;
  const now = new Date(sandbox.clock.exact() * 1000).toISOString();
  const ahead = Math.round(sandbox.clock.offset / 86_400);
  const query = account === undefined ? '' : `account=${encodeURIComponent(account)}&amp;`;
  return page(
    'local-stripe',
    `${style}${refresh ? `<meta http-equiv="refresh" content="${Math.max(1, refresh)}">` : ''}
    <header><h1><a href="/">local-stripe</a></h1><span class="soft">${escapeHtml(sandbox.url)} · API ${escapeHtml(sandbox.version)} · test mode, nothing here is real</span>
    <nav>${account === undefined ? '' : `<a href="/">all accounts</a>`}${refresh ? `<a href="/?${query.replace(/&amp;$/, '')}">stop refreshing</a>` : `<a href="/?${query}refresh=3">refresh by itself</a>`}<a href="/_control/state">state</a></nav></header>
    <div class="tiles">${tile(`${now.slice(0, 10)}${ahead > 0 ? `, ${ahead} days ahead` : ''} (UTC)`, now.slice(11, 19))}${tile('accounts', partitions.length)}${tile('objects', objects.toLocaleString('en'))}${tile('deliveries waiting', waiting)}${tile('deliveries failed', failed)}${tile('faults set', sandbox.faults.all().length)}</div>
    ${table(
      'Accounts',
      ['Account', 'Name', 'State', 'Balance + pending', 'Customers', 'Payments', 'Subscriptions', 'Invoices', 'Events'],
      partitions
        .filter((partition) => ofAccount(partition.account))
        .slice(0, 500)
        .map((partition) => accountRow(sandbox, partition)),
    )}
    ${table(
      'Requests',
      ['Time', 'Status', 'Request', 'Account', 'Error', 'Id'],
      latest(requests).map((request) => requestRow(sandbox, request)),
    )}
    ${table(
      'Deliveries',
      ['Time', 'State', 'Event', 'Account', 'Answers', 'To', 'Id'],
      latest(deliveries).map((delivery) => deliveryRow(sandbox, delivery)),
    )}`,
  );
}
