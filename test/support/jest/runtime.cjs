// Runs test files as Node.js runs any module, instead of in a virtual machine of their own each: what they test is loaded, and compiled, once for a
// worker and not a hundred times. That no test mocks a module, and that none leaves anything behind, is what makes it possible. Test files and what
// they share (everything under `test`) are still loaded anew each time; everything that Jest does around them is Jest's own.
const { registerHooks } = require('node:module');
const { pathToFileURL, fileURLToPath } = require('node:url');
const { existsSync, readFileSync } = require('node:fs');
const { sep } = require('node:path');
const { transformSync } = require('@swc/core');

/** Carried by the addresses of a test file and of all that is its own, so that each run has another. */
const RUN = '?run=';

let installed = false;
let runs = 0;

/** Has TypeScript loaded from its source. Imports name the JavaScript that will be made of it. */
function installLoader(compilerOptions) {
  if (installed) return;
  installed = true;
  // As programs have it first: decorators look for it, and a module that could not be loaded once is not tried again.
  require('reflect-metadata');
  process.setSourceMapsEnabled(true);
  registerHooks({
    resolve(specifier, context, next) {
      const from = context.parentURL ?? '';
      if (!specifier.startsWith('.') || !from.startsWith('file:') || from.includes('/node_modules/')) {
        return next(specifier, context);
      }
      const url = new URL(specifier, from);
      if (url.pathname.endsWith('.js')) {
        const source = new URL(url.href.replace(/\.js$/, '.ts'));
        if (existsSync(source)) url.pathname = source.pathname;
      }
      const run = from.indexOf(RUN);
      if (run >= 0 && url.pathname.includes('/test/')) url.search = from.slice(run);
      return url.pathname.endsWith('.ts')
        ? { url: url.href, format: 'module', shortCircuit: true }
        : next(url.href, context);
    },
    load(url, context, next) {
      const address = url.split('?')[0];
      if (!address.endsWith('.ts') || address.includes('/node_modules/')) return next(url, context);
      const filename = fileURLToPath(address);
      const { code } = transformSync(readFileSync(filename, 'utf8'), {
        ...compilerOptions,
        filename,
        sourceFileName: filename,
        sourceMaps: 'inline',
      });
      return { format: 'module', source: code, shortCircuit: true };
    },
  });
}

/** The part of jest-runtime that jest-runner and jest-circus ask for. */
module.exports = class NativeRuntime {
  constructor(config) {
    installLoader(config.globals.compilerOptions);
  }

  unstable_shouldLoadAsEsm() {
    return true;
  }

  async unstable_importModule(path) {
    await import(`${pathToFileURL(path).href}${RUN}${++runs}`);
  }

  /** Jest's own modules. They keep the state of one test file, so each gets them fresh. */
  requireInternalModule(path) {
    delete globalThis[Symbol.for('EVENT_HANDLERS')];
    for (const cached of Object.keys(require.cache)) {
      if (cached.includes(`${sep}jest-circus${sep}`)) delete require.cache[cached];
    }
    return require(path);
  }

  requireModule(path) {
    return require(path);
  }

  setGlobalsForRuntime() {}
  enterTestCode() {}
  leaveTestCode() {}
  teardown() {}

  getSourceMaps() {
    return new Map();
  }

  getAllCoverageInfoCopy() {
    return {};
  }
};
