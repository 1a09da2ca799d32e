import { type CodegenConfig } from '@graphql-codegen/cli';

/** Types for every operation in `operations/`, from the server's schema. Nothing of a running server is needed. */
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['examples/frontend/operations/*.graphql'],
  generates: {
    'examples/frontend/generated/': {
      preset: 'client',
      // Documents are strings: the browser needs no GraphQL library to send them.
      config: {
        documentMode: 'string',
        enumsAsTypes: true,
        strictScalars: true,
        useTypeImports: true,
        scalars: {
          Currency: 'string',
          DateTime: 'string',
          Decimal: 'string',
          EmailAddress: 'string',
          JSONObject: 'Record<string, unknown>',
          SafeInt: 'number',
          URL: 'string',
          UUID: 'string',
        },
      },
      presetConfig: { fragmentMasking: false },
    },
  },
};

export default config;
