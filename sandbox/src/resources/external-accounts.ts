import { createHash } from 'node:crypto';
import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId } from '../ids.js';
import { embeddedList, listPage } from '../list.js';
import { checkCurrency } from '../money.js';
import { listParams, type Metadata, mergeMetadata, Param, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { requireAccount } from './account-state.js';

/** How a payout to a test account number ends, where it does not arrive. {@link https://docs.stripe.com/connect/testing#account-numbers} */
export const payoutFailures: Record<string, { code: string; message: string }> = {
  '000111111116': {
    code: 'no_account',
    message:
      'The bank account details on file are probably incorrect. No bank account could be located with those details.',
  },
  '000111111113': { code: 'account_closed', message: 'The bank account has been closed.' },
  '000222222227': {
    code: 'insufficient_funds',
    message: 'Your Stripe account has insufficient funds to cover the payout.',
  },
  '000333333335': {
    code: 'debit_not_authorized',
    message: 'Debit transactions are not approved on your bank account.',
  },
  '000444444440': {
    code: 'invalid_currency',
    message: 'The bank was unable to process this payout because of its currency.',
  },
};
const tokens: Record<string, string> = {
  btok_us: '000123456789',
  btok_us_verified: '000123456789',
  btok_us_noAccount: '000111111116',
  btok_us_accountClosed: '000111111113',
  btok_us_insufficientFunds: '000222222227',
  btok_us_debitNotAuthorized: '000333333335',
  btok_us_invalidCurrency: '000444444440',
};
const fineNumber = '000123456789';

const bankParams = {
  object: p.enum('bank_account').required(),
  account_holder_name: p.string(),
  account_holder_type: p.enum('company', 'individual'),
  account_number: p.string().required(),
  country: p.string().required(),
  currency: p.string(),
  routing_number: p.string(),
};
type Bank = ReturnType<typeof bankHash.parse>;
const bankHash = p.hash(bankParams);

/** `external_account`: bank details, or the token of a test account. */
export const externalAccountParam = new Param<Bank>((raw, path) => {
  if (typeof raw !== 'string') return bankHash.parse(raw, path);
  const number = tokens[raw];
  if (number === undefined) throw invalid(`No such token: '${raw}'`, path, 'resource_missing');
  return {
    object: 'bank_account',
    account_number: number,
    country: 'US',
    currency: 'usd',
    routing_number: '110000000',
    account_holder_type: 'individual',
    account_holder_name: 'Jane Austen',
  };
});

interface BankState {
  number: string;
}

/** The account number behind a bank account, which the API never shows. */
export function numberOf(own: Context, bank: string): string {
  return own.secret<BankState>(bank).number ?? fineNumber;
}

/** Bank accounts of an account, the defaults of their currencies first. */
export function banksOf(own: Context): Stripe.BankAccount[] {
  const all = [...own.table('bank_account').newestFirst()];
  return [...all.filter((bank) => bank.default_for_currency), ...all.filter((bank) => !bank.default_for_currency)];
}

function refresh(own: Context): void {
  const account = own.platform.table('account').require(own.account);
  account.external_accounts = {
    ...embeddedList<Stripe.ExternalAccount>(banksOf(own), `/v1/accounts/${own.account}/external_accounts`, 100),
  };
}

function makeDefault(own: Context, bank: Stripe.BankAccount): void {
  for (const other of own.table('bank_account').oldestFirst())
    if (other.currency === bank.currency) other.default_for_currency = other.id === bank.id;
}

/**
 * Adds a bank account that payouts can go to. The first of a currency becomes its default. {@link https://docs.stripe.com/api/external_account_bank_accounts}
 * @param own context on the account itself
 */
function addBankAccount(
  own: Context,
  given: Bank,
  options: { isDefault?: boolean; metadata?: Metadata; silent?: boolean } = {},
): Stripe.BankAccount {
  const country = given.country.toUpperCase();
  const account = own.platform.table('account').require(own.account);
  const currency = checkCurrency(given.currency ?? account.default_currency ?? 'usd', 'external_account[currency]');
  if (country === 'US' && !/^\d{9}$/.test(given.routing_number ?? ''))
    throw invalid('Routing number must have 9 digits', 'external_account[routing_number]', 'routing_number_invalid');
  const digits = given.account_number.replace(/\s/g, '');
  if (digits.length < 4)
    throw invalid('Invalid account number', 'external_account[account_number]', 'account_number_invalid');
  const bank: Stripe.BankAccount = {
    id: newId('bank_account'),
    object: 'bank_account',
    account: own.account,
    account_holder_name: given.account_holder_name ?? null,
    account_holder_type: given.account_holder_type ?? null,
    account_type: null,
    available_payout_methods: ['standard'],
    bank_name: 'STRIPE TEST BANK',
    country,
    currency,
    default_for_currency: false,
    fingerprint: createHash('sha256').update(`${country}${digits}`).digest('hex').slice(0, 16),
    future_requirements: { currently_due: [], errors: [], past_due: [], pending_verification: [] },
    last4: digits.slice(-4),
    metadata: options.metadata ?? {},
    requirements: { currently_due: [], errors: [], past_due: [], pending_verification: [] },
    routing_number: given.routing_number ?? null,
    status: 'new',
  };
  const isFirst = !banksOf(own).some((other) => other.currency === currency);
  own.table('bank_account').insert(bank);
  own.secret<BankState>(bank.id).number = digits;
  if (isFirst || options.isDefault) makeDefault(own, bank);
  refresh(own);
  if (!options.silent) own.emit('account.external_account.created', bank);
  return bank;
}

/** `external_account` of an account update: the new default takes the old one's place. */
export function replaceBankAccount(own: Context, given: Bank): void {
  const old = banksOf(own).filter((bank) => bank.default_for_currency);
  const added = addBankAccount(own, given, { isDefault: true });
  for (const bank of old) {
    if (bank.currency !== added.currency) continue;
    own.table('bank_account').delete(bank.id);
    own.emit('account.external_account.deleted', bank);
  }
  refresh(own);
}

/** A test bank account in the account's own currency, as onboarding and the platform's own sign-up leave one. */
export function ensureBankAccount(own: Context): void {
  if (own.table('bank_account').size > 0) return;
  const account = own.platform.table('account').require(own.account);
  const country = account.country ?? 'US';
  const bank: Bank = {
    object: 'bank_account',
    account_number: fineNumber,
    country,
    ...(country === 'US' && { routing_number: '110000000' }),
  };
  // The platform was there before anybody could listen.
  addBankAccount(own, bank, { silent: own.isPlatform });
}

/** A payout that failed: nothing is sent to that account any more until it is replaced. */
export function markErrored(own: Context, id: string): void {
  const bank = own.table('bank_account').get(id);
  if (!bank) return;
  own.change(bank, 'account.external_account.updated', () => (bank.status = 'errored'));
  refresh(own);
}

const update = {
  account_holder_name: p.string(),
  account_holder_type: p.enum('company', 'individual').clearable(),
  account_type: p.enum('checking', 'futsu', 'savings', 'toza'),
  default_for_currency: p.boolean(),
  documents: p.any(),
  metadata: p.metadata(),
};

const base = '/v1/accounts/:account/external_accounts';

/** Where payouts go; bank accounts only. {@link https://docs.stripe.com/api/external_accounts} */
export const externalAccounts: Resource = {
  expandable: ['destination'],
  routes: [
    route(
      'POST',
      base,
      {
        external_account: externalAccountParam.required(),
        default_for_currency: p.boolean(),
        metadata: p.metadata(),
      },
      (ctx, { external_account: given, default_for_currency: isDefault = false, metadata }, { account }) =>
        addBankAccount(ctx.on(requireAccount(ctx, account).id), given, { isDefault, metadata: metadata ?? {} }),
    ),
    route(
      'GET',
      base,
      { ...listParams, object: p.enum('bank_account', 'card') },
      (ctx, { object, ...page }, { account }) =>
        listPage(
          banksOf(ctx.on(requireAccount(ctx, account).id)),
          `/v1/accounts/${account}/external_accounts`,
          page,
          () => object !== 'card',
        ),
    ),
    route('GET', `${base}/:id`, {}, (ctx, _params, { account, id }: Record<string, string>) =>
      ctx.on(requireAccount(ctx, account!).id).table('bank_account').require(id!, 'id'),
    ),
    route('POST', `${base}/:id`, update, (ctx, params, { account, id }: Record<string, string>) => {
      const own = ctx.on(requireAccount(ctx, account!).id);
      const { metadata, default_for_currency: isDefault, documents: _documents, ...rest } = params;
      const bank = own.change(
        own.table('bank_account').require(id!, 'id'),
        'account.external_account.updated',
        (row) => {
          Object.assign(row, rest);
          row.metadata = mergeMetadata(row.metadata ?? {}, metadata);
          if (isDefault) makeDefault(own, row);
          // Stripe takes up payouts again once somebody has looked after the account.
          row.status = 'new';
        },
      );
      refresh(own);
      return bank;
    }),
    route('DELETE', `${base}/:id`, {}, (ctx, _params, { account, id }: Record<string, string>) => {
      const own = ctx.on(requireAccount(ctx, account!).id);
      const bank = own.table('bank_account').require(id!, 'id');
      if (bank.default_for_currency && banksOf(own).length > 0)
        throw invalid(
          'You cannot delete the default external account for your default currency. Please make another external account the default using the `default_for_currency` param, and then delete this one.',
          'id',
        );
      own.table('bank_account').delete(bank.id);
      refresh(own);
      own.emit('account.external_account.deleted', bank);
      return { id: bank.id, object: 'bank_account', deleted: true };
    }),
  ],
};
