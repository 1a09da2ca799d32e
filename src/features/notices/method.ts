/** What is known of how something is paid. */
interface Method {
  readonly type: string | null;
  readonly brand: string | null;
  readonly last4: string | null;
}

const names: Readonly<Record<string, string>> = {
  CARD: 'Card',
  US_BANK_ACCOUNT: 'Bank account',
  SEPA_DEBIT: 'SEPA debit',
  AU_BECS_DEBIT: 'Direct debit',
  BACS_DEBIT: 'Direct debit',
  ACSS_DEBIT: 'Pre-authorized debit',
  LINK: 'Link',
};

/** As people call it: `Visa •••• 4242`; null when nothing is known. */
export function methodOf({ type, brand, last4 }: Method): string | null {
  const name = brand ? brand[0]!.toUpperCase() + brand.slice(1) : (names[type ?? ''] ?? null);
  return name && (last4 ? `${name} •••• ${last4}` : name);
}
