import { PayLinks } from '../../src/features/pay-page/pay-links.js';
import { newUuid } from '../../src/shared/uuid.js';

const now = new Date('2026-11-23T12:00:00Z');
const clock = { now: () => now };
const links = new PayLinks({ publicUrl: 'https://billing.test', secret: 'a secret of 32 characters or more', clock });
const link = { tenantId: newUuid(), invoiceId: 42, livemode: false };
const hour = 3_600_000;
const tokenOf = (url: string) => url.replace('https://billing.test/pay/', '');

test('a link says what it is for until it expires, and then only that it did', () => {
  const { url, expiresAt } = links.create(link, hour);
  expect(expiresAt).toEqual(new Date('2026-11-23T13:00:00Z'));
  expect(links.read(tokenOf(url))).toEqual({ ...link, isExpired: false });
  const later = new PayLinks({
    publicUrl: '',
    secret: 'a secret of 32 characters or more',
    clock: { now: () => expiresAt },
  });
  expect(later.read(tokenOf(url))).toMatchObject({ isExpired: true });
});

test('nobody else can make one, and none can be changed', () => {
  const token = tokenOf(links.create(link, hour).url);
  const [body = '', signature = ''] = token.split('.');
  const others = new PayLinks({ publicUrl: '', secret: 'another secret of 32 characters!!', clock });
  const forged = Buffer.from(JSON.stringify([link.tenantId, 43, 0, 9_999_999_999])).toString('base64url');
  expect(others.read(token)).toBeNull();
  for (const wrong of [
    `${forged}.${signature}`,
    body,
    `${body}.`,
    `${body}.${signature}.`,
    `${body}.${signature}=`,
    `${body}.${signature.slice(0, -1)}`,
    '',
    'x'.repeat(1_000),
    undefined,
    [token],
  ])
    expect(links.read(wrong)).toBeNull();
});
