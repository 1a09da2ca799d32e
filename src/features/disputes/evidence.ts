import { badInput } from '../../shared/errors.js';
import { type FileId } from '../../stripe/types.js';
import { holdsCardNumber } from '../payments/payment-input.js';

// What can be said about a dispute. The names are Stripe's. https://docs.stripe.com/api/disputes/evidence_object

/** Fields that hold text, with what belongs into them. */
export const evidenceTexts = {
  accessActivityLog: 'Logs of the customer’s access to what was bought, with IP addresses and times.',
  billingAddress: 'The billing address that the customer gave.',
  cancellationPolicyDisclosure: 'How and when the customer was shown the cancellation policy.',
  cancellationRebuttal: 'Why the customer’s claim to have canceled is not right.',
  customerEmailAddress: 'The customer’s e-mail address.',
  customerName: 'The customer’s name.',
  customerPurchaseIp: 'The IP address that the customer paid from.',
  duplicateChargeExplanation: 'What tells the disputed payment from the one that it is said to repeat.',
  duplicateChargeId: 'Stripe’s id of the charge that it is said to repeat.',
  productDescription: 'What was bought, and how it was described to the customer.',
  refundPolicyDisclosure: 'How and when the customer was shown the refund policy.',
  refundRefusalExplanation: 'Why the customer is not entitled to a refund.',
  serviceDate: 'When the service was provided, for people to read.',
  shippingAddress: 'Where it was sent to.',
  shippingCarrier: 'Who delivered it; several, by commas.',
  shippingDate: 'When it was sent, for people to read.',
  shippingTrackingNumber: 'The tracking number; several, by commas.',
  uncategorizedText: 'Anything else.',
} as const;

/** Fields that hold a file, with what belongs into them. */
export const evidenceFiles = {
  CANCELLATION_POLICY: 'The cancellation policy as the customer was shown it.',
  CUSTOMER_COMMUNICATION: 'Letters and chats with the customer.',
  CUSTOMER_SIGNATURE: 'A document that the customer signed.',
  DUPLICATE_CHARGE_DOCUMENTATION: 'Papers of the charge that it is said to repeat.',
  RECEIPT: 'The receipt that the customer was sent.',
  REFUND_POLICY: 'The refund policy as the customer was shown it.',
  SERVICE_DOCUMENTATION: 'Proof that the service was provided.',
  SHIPPING_DOCUMENTATION: 'Proof that it was sent to where the customer wanted it.',
  UNCATEGORIZED_FILE: 'Anything else.',
} as const;

export type EvidenceText = keyof typeof evidenceTexts;
export type EvidenceFile = keyof typeof evidenceFiles;

/** A file of the evidence: one that Stripe has already, or one that is sent along. */
export interface FileOfEvidence {
  readonly kind: EvidenceFile;
  readonly stripeFileId: FileId | null;
  readonly filename: string | null;
  /** Base64. */
  readonly content: string | null;
}

/** Stripe's limit on all texts together. */
const maxCharacters = 150_000;
const types: Readonly<Record<string, string>> = {
  pdf: 'application/pdf',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
};

/** @throws AppError BAD_USER_INPUT */
export function checkTexts(texts: Readonly<Partial<Record<EvidenceText, string>>>): void {
  let characters = 0;
  for (const [name, text] of Object.entries(texts)) {
    const field = `input.evidence.${name}`;
    if (text.includes('\0')) throw badInput(field, 'Text holds no NUL character.');
    if (holdsCardNumber(text)) throw badInput(field, 'This looks like a card number, which must not be stored.');
    characters += text.length;
  }
  if (characters > maxCharacters)
    throw badInput('input.evidence', `All texts together have at most ${maxCharacters} characters.`);
}

/** @throws AppError BAD_USER_INPUT */
export function checkFiles(files: readonly FileOfEvidence[]): void {
  const seen = new Set<EvidenceFile>();
  for (const [index, { kind, stripeFileId, filename, content }] of files.entries()) {
    const field = `input.files.${index}`;
    if (seen.has(kind)) throw badInput(`${field}.kind`, 'Each kind of file is given once; join several into one.');
    seen.add(kind);
    if ((stripeFileId === null) === (content === null))
      throw badInput(field, 'Give either `stripeFileId` or `content`.');
    if (stripeFileId !== null && !/^file_[A-Za-z0-9]+$/.test(stripeFileId))
      throw badInput(`${field}.stripeFileId`, 'This is no id of a file.');
    if (content === null) continue;
    if (filename === null || !/^[^\0/\\"\r\n]{1,200}$/.test(filename) || !typeOf(filename))
      throw badInput(`${field}.filename`, 'A name that ends in .pdf, .jpg, .jpeg or .png is needed.');
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(content) || content === '')
      throw badInput(`${field}.content`, 'The content is not in base64.');
  }
}

/** What a file of this name is; undefined for what banks do not take. */
export function typeOf(filename: string): string | undefined {
  return types[/\.([a-z]+)$/i.exec(filename)?.[1]?.toLowerCase() ?? ''];
}

/** `customerPurchaseIp` → `customer_purchase_ip` */
export function stripeName(name: EvidenceText): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
