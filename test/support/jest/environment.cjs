/** Test files see the globals of the process itself (see runtime.cjs). What is put into them for one file is taken out after it. */
module.exports = class NativeEnvironment {
  global = globalThis;
  #before = { console: globalThis.console, exit: process.exit, names: new Set(Object.keys(globalThis)) };

  async setup() {
    // Node.js maps positions to the sources itself.
    Error.prepareStackTrace = undefined;
  }

  async teardown() {
    globalThis.console = this.#before.console;
    process.exit = this.#before.exit;
  }

  exportConditions() {
    return ['node'];
  }

  getVmContext() {
    return null;
  }
};
