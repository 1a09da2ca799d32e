import { compilerOptions } from './scripts/compiler-options.mjs';

export default {
  roots: ['<rootDir>/test', '<rootDir>/sandbox/test'],
  testMatch: ['**/*.test.ts'],
  runtime: '<rootDir>/test/support/jest/runtime.cjs',
  testEnvironment: '<rootDir>/test/support/jest/environment.cjs',
  transform: {},
  globals: { compilerOptions },
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  // Much of the time is waited, not worked: for processes to start and to be killed, and for events to come.
  maxWorkers: 3,
  // Not how long a test should take, but when it surely hangs: machines may be busy with something else.
  testTimeout: 180_000,
};
