/** How swc compiles TypeScript, for what runs and for what is tested. */
export const compilerOptions = {
  jsc: {
    target: 'es2023',
    keepClassNames: true,
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
  },
  module: { type: 'nodenext' },
  // Nothing else has a say, whatever lies beside the file.
  configFile: false,
  swcrc: false,
};
