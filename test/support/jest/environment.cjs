/** Test files see the globals of the process itself (see runtime.cjs). What Jest replaces in them for one file is put back after it. */
module.exports = class NativeEnvironment {
  global = globalThis;
  #before = { console: globalThis.console, exit: process.exit };

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
