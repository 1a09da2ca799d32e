import { GraphQLError, GraphQLScalarType, type GraphQLScalarTypeConfig, Kind } from 'graphql';
import { GraphQLDateTimeISO, GraphQLUUID } from 'graphql-scalars';
import { isoOf } from './iso.js';

export {
  GraphQLEmailAddress as EmailAddressScalar,
  GraphQLJSONObject as JSONObjectScalar,
  GraphQLSafeInt as SafeIntScalar,
  GraphQLURL as URLScalar,
} from 'graphql-scalars';

export const UUIDScalar = plainText(GraphQLUUID.toConfig());

/** An instant, under the name that clients know it by. */
export const DateTimeScalar = plainText({
  ...GraphQLDateTimeISO.toConfig(),
  name: 'DateTime',
  // Whatever is a date needs no second look.
  serialize: (value) =>
    value instanceof Date && !Number.isNaN(value.getTime()) ? isoOf(value) : GraphQLDateTimeISO.serialize(value),
  description: 'An instant as RFC 3339 writes it, in UTC: `2026-11-23T09:30:00.000Z`.',
});

/** A three-letter currency as Stripe writes it: lower case. https://docs.stripe.com/currencies */
export const CurrencyScalar = textScalar(
  'Currency',
  'A three-letter ISO 4217 currency code in lower case, as Stripe sends it: `usd`.',
  /^[a-z]{3}$/,
);

/** A decimal number that must not pass through a float. */
export const DecimalScalar = textScalar(
  'Decimal',
  'A decimal number as a string, so that no digit is lost: `"2.50"`.',
  /^-?\d{1,18}(\.\d{1,18})?$/,
);

function textScalar(name: string, description: string, shape: RegExp): GraphQLScalarType<string, string> {
  const check = (value: unknown): string => {
    if (typeof value === 'string' && shape.test(value)) return value;
    throw new GraphQLError(`${name} cannot represent this value: ${JSON.stringify(value)}`, {
      extensions: { code: 'BAD_USER_INPUT' },
    });
  };
  return plainText<string, string>({
    name,
    description,
    serialize: check,
    parseValue: check,
    parseLiteral: (node) => check(node.kind === Kind.STRING ? node.value : undefined),
  });
}

/** A scalar that serialises to text in which JSON has nothing to escape: it is written as it is. */
function plainText<Input, Output>(
  config: Readonly<GraphQLScalarTypeConfig<Input, Output>>,
): GraphQLScalarType<Input, Output> {
  return new GraphQLScalarType({ ...config, extensions: { ...config.extensions, isPlainText: true } });
}
