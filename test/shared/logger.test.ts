import { spawnSync } from 'node:child_process';

/** What a process prints that logs what `script` makes of `error`. */
function printed(script: string): string {
  const code = `import { createLogger } from './dist/src/shared/logger.js'; const log = createLogger('info'); ${script}`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout;
}

test('what PostgreSQL quotes of a row at fault stays out of the logs', () => {
  const line = printed(`
    const error = Object.assign(new Error('broken\\n - detail: Failing row contains (canary@example.com).'), {
      code: '23514', constraint: 'customers_name_check', detail: 'canary@example.com', where: 'JSON data: canary@example.com' });
    log.error({ err: new Error('outer', { cause: error }) }, 'failed');`);
  expect(line).not.toContain('canary');
  expect(line).toContain('customers_name_check');
});

test('values under the names of secrets are not written', () => {
  const line = printed(
    "log.info({ input: { email: 'canary', deep: { client_secret: 'canary' } }, authorization: 'canary' }, 'asked');",
  );
  expect(line).not.toContain('canary');
});
