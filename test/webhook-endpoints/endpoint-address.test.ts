import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { AddressGuard, ForbiddenTarget } from '../../src/features/webhook-endpoints/endpoint-address.js';
import { post } from '../../src/features/webhook-endpoints/webhook-post.js';
import { startReceiver } from './receiver.js';

/** A resolver that knows what it is told, and counts how often it is asked. */
const resolving = (...addresses: string[]) => {
  const asked: string[] = [];
  const resolve = (name: string) => Promise.resolve((asked.push(name), addresses));
  return { asked, resolve };
};
const refused = (url: string) => expect(() => new AddressGuard(false).read(url, 'input.url')).toThrow();

test.each([
  ...[
    'http://hooks.example.com/',
    'ftp://hooks.example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    '//hooks.example.com',
    'hooks',
  ],
  ...['https://user:password@hooks.example.com/', 'https://localhost/', 'https://intranet/', 'https://localhost./'],
  // This machine, however it is written.
  ...[
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0177.0.0.1/',
    'https://0/',
  ],
  ...['https://127.0.0.1./', 'https://①②⑦.⓪.⓪.①/', 'https://[::1]/', 'https://[::]/', 'https://[0:0:0:0:0:0:0:1]/'],
  // Networks of one's own, of one's provider, and what a cloud tells its machines.
  ...[
    'https://10.1.2.3/',
    'https://172.16.0.1/',
    'https://192.168.1.1/',
    'https://100.64.0.1/',
    'https://100.100.100.200/',
  ],
  ...[
    'https://169.254.169.254/latest/meta-data/',
    'https://[fe80::1]/',
    'https://[fd00:ec2::254]/',
    'https://[fec0::1]/',
  ],
  ...[
    'https://168.63.129.16/',
    'https://192.0.0.192/',
    'https://0.0.0.0/',
    'https://255.255.255.255/',
    'https://224.0.0.1/',
  ],
  ...[
    'https://198.18.0.1/',
    'https://240.0.0.1/',
    'https://192.0.2.1/',
    'https://[2001:db8::1]/',
    'https://[ff02::1]/',
  ],
  // IPv4 within IPv6.
  ...['https://[::ffff:10.0.0.1]/', 'https://[::ffff:7f00:1]/', 'https://[::127.0.0.1]/', 'https://[64:ff9b::7f00:1]/'],
  ...['https://[2002:7f00:1::]/', 'https://[2001:0:7f00:1::]/', 'https://[64:ff9b:1::a00:1]/'],
])('%s is refused before anything is sent', (url) => {
  refused(url);
});

test.each([
  'https://hooks.example.com/psa?tenant=1',
  'https://hooks.example.com:8443/',
  'https://1.1.1.1/',
  'https://[2606:4700::1111]/',
])('%s is accepted', (url) => {
  expect(new AddressGuard(false).read(url, 'input.url')).toBe(url);
});

test.each([
  ['one private address', ['10.0.0.5']],
  ['the machine itself', ['127.0.0.1']],
  ['the machine itself, as IPv6', ['::1']],
  ['IPv4 in IPv6', ['::ffff:169.254.169.254']],
  ['a public and a private one', ['1.1.1.1', '192.168.0.1']],
  ['what is no address', ['hooks.example.net']],
  ['nothing', []],
])('a name that stands for %s is refused when something is to be sent', async (_, addresses) => {
  const guard = new AddressGuard(false, resolving(...addresses).resolve);
  await expect(guard.target('https://hooks.example.com/')).rejects.toThrow(ForbiddenTarget);
});

test('a name is looked up once, and what it stood for then is connected to', async () => {
  const receiver = await startReceiver();
  // Nobody else would find the receiver under this address: had the name been looked up again, it would be another.
  const local = resolving('127.0.0.1');
  const url = receiver.url.replace('127.0.0.1', 'localhost');
  const sent = { url, headers: { 'webhook-id': 'one' }, body: '{}', timeoutMs: 5_000 };
  expect(await post(new AddressGuard(true, local.resolve), sent)).toEqual({ status: 200, error: null });
  expect(local.asked).toEqual(['localhost']);
  expect(receiver.told[0]!.headers.host).toMatch(/^localhost:/);
  // And the address decides, not the name: this one is somewhere else.
  const elsewhere = await post(new AddressGuard(true, resolving('127.0.0.2').resolve), sent);
  expect(elsewhere.error).toMatch(/^The connection failed/);
  await receiver.stop();
});

test('in production plain HTTP goes nowhere, not even to this machine, and nothing is told of why', async () => {
  const receiver = await startReceiver();
  const guard = new AddressGuard(false, resolving('127.0.0.1').resolve);
  for (const url of [receiver.url, receiver.url.replace('http:', 'https:'), 'https://hooks.example.com/']) {
    const { status, error } = await post(guard, { url, headers: {}, body: '{}', timeoutMs: 5_000 });
    expect([status, error]).toEqual([null, expect.stringMatching(/^The address (is not a public one|must begin)/)]);
    expect(error).not.toMatch(/127/);
  }
  expect(receiver.told).toEqual([]);
  await receiver.stop();
});

test('a name that takes for ever is given up', async () => {
  const guard = new AddressGuard(false, () => new Promise<never>(() => undefined));
  const { error } = await post(guard, { url: 'https://hooks.example.com/', headers: {}, body: '{}', timeoutMs: 50 });
  expect(error).toMatch(/no answer/);
});

test.each([
  [
    'changes the protocol',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n',
    /ECONNRESET/,
  ],
  ['hangs up in the middle', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc', /ECONNRESET/],
  ['speaks something else', 'SSH-2.0-OpenSSH_9.9\r\n', /HPE_/],
])('who %s is not waited for', async (_, said, problem) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).once('data', () => socket.end(said));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { status, error } = await post(new AddressGuard(true), { url, headers: {}, body: '{}', timeoutMs: 60_000 });
  expect([status, error]).toEqual([null, expect.stringMatching(problem)]);
  server.close();
  await once(server, 'close');
});
