import { ReturnUrls } from '../../src/features/onboarding/return-url.js';

const urls = new ReturnUrls(['https://app.example.com', 'http://localhost:3000']);

test.each([
  ['/settings/billing', 'https://app.example.com/settings/billing'],
  ['/settings?tab=stripe#done', 'https://app.example.com/settings?tab=stripe#done'],
  ['/', 'https://app.example.com/'],
  ['/a//b', 'https://app.example.com/a//b'],
  ['/next?to=https://other.example', 'https://app.example.com/next?to=https://other.example'],
  ['https://app.example.com', 'https://app.example.com/'],
  ['https://app.example.com:443/done', 'https://app.example.com/done'],
  ['http://localhost:3000/done?x=1', 'http://localhost:3000/done?x=1'],
])('%s is a place to return to', (wanted, resolved) => {
  expect(urls.resolve(wanted, 'input.returnPath')).toBe(resolved);
});

test.each([
  ['', 'nothing'],
  ['settings', 'a relative path'],
  ['//evil.example', 'another host without a scheme'],
  ['///evil.example', 'three slashes'],
  ['/\\evil.example', 'a backslash, which browsers read as a slash'],
  ['\\\\evil.example', 'two backslashes'],
  ['/%2f%2fevil.example', 'encoded slashes'],
  ['/%5Cevil.example', 'an encoded backslash'],
  ['/.//evil.example', 'dot segments that leave two slashes'],
  ['/x/..//evil.example', 'parent segments that leave two slashes'],
  ['/\t/evil.example', 'a tab, which browsers drop'],
  ['/\n/evil.example', 'a line break, which browsers drop'],
  ['/\u0000', 'a control character'],
  ['/a b', 'a space'],
  [' /a', 'a leading space'],
  ['https://evil.example/', 'another host'],
  ['https://app.example.com.evil.example/', 'ours as the beginning of another host'],
  ['https://evilapp.example.com/', 'ours as the end of another host'],
  ['https://app.example.com@evil.example/', 'ours as a user name'],
  ['https://user:pass@app.example.com/', 'userinfo on our own host'],
  ['https://@app.example.com/', 'empty userinfo'],
  ['http://app.example.com/', 'another scheme'],
  ['https://app.example.com:8443/', 'another port'],
  ['https:/app.example.com/', 'one slash'],
  ['https:app.example.com', 'no slash'],
  ['https://app%2eexample.com/', 'an encoded host'],
  ['https://аpp.example.com/', 'a Cyrillic letter'],
  ['https://xn--pp-flc.example.com/', 'the same, in punycode'],
  ['https://app.example。com/', 'an ideographic full stop'],
  ['https://app.example.com／evil', 'a full-width slash'],
  ['/ｅvil', 'full-width letters in a path'],
  ['https://app.example.com\\@evil.example/', 'a backslash before the at sign'],
  ['javascript:alert(1)', 'script'],
  ['JavaScript://app.example.com/%0aalert(1)', 'script that looks like a URL of ours'],
  ['data:text/html,x', 'data'],
  ['file:///etc/passwd', 'a file'],
  [`/${'a'.repeat(2_000)}`, 'too much'],
])('%j is refused: %s', (wanted) => {
  expect(() => urls.resolve(wanted, 'input.returnPath')).toThrow(
    expect.objectContaining({ code: 'BAD_USER_INPUT', details: { field: 'input.returnPath' } }),
  );
});

test('a place that was allowed once is asked about again, since the list may have changed', () => {
  expect(urls.allows('https://app.example.com/done')).toBe(true);
  expect(new ReturnUrls(['https://other.example']).allows('https://app.example.com/done')).toBe(false);
  expect(urls.allows('javascript:alert(1)')).toBe(false);
});
