import { Field, InputType, registerEnumType } from 'type-graphql';
import { type EvidenceFile, evidenceFiles, type EvidenceText, evidenceTexts } from './evidence.js';

const files = Object.keys(evidenceFiles) as EvidenceFile[];
/** The names of all kinds, as an enum of GraphQL. */
const DisputeEvidenceFileKind = Object.fromEntries(files.map((kind) => [kind, kind])) as Record<
  EvidenceFile,
  EvidenceFile
>;
registerEnumType(DisputeEvidenceFileKind, {
  name: 'DisputeEvidenceFileKind',
  description: 'What a file of evidence is.',
  valuesConfig: Object.fromEntries(files.map((kind) => [kind, { description: evidenceFiles[kind] }])),
});

@InputType({ description: 'A file of evidence: one that Stripe has already, or a small one that is sent along.' })
export class DisputeEvidenceFileInput {
  @Field(() => DisputeEvidenceFileKind, { description: 'What it is.' })
  kind!: EvidenceFile;

  @Field(() => String, { nullable: true, description: "Stripe's id of a file on the tenant's account: `file_…`." })
  stripeFileId?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'With `content`: its name, which ends in .pdf, .jpg, .jpeg or .png.',
  })
  filename?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'What is in it, in base64; the whole request may have 256 KiB. Larger ones go to Stripe first.',
  })
  content?: string | null;
}

const texts: Readonly<Record<EvidenceText, string>> = evidenceTexts;

@InputType({ description: 'What can be said about a dispute in words. An empty text takes a field back.' })
export class DisputeEvidenceInput {
  @Field(() => String, { nullable: true, description: texts.accessActivityLog })
  accessActivityLog?: string | null;

  @Field(() => String, { nullable: true, description: texts.billingAddress })
  billingAddress?: string | null;

  @Field(() => String, { nullable: true, description: texts.cancellationPolicyDisclosure })
  cancellationPolicyDisclosure?: string | null;

  @Field(() => String, { nullable: true, description: texts.cancellationRebuttal })
  cancellationRebuttal?: string | null;

  @Field(() => String, { nullable: true, description: texts.customerEmailAddress })
  customerEmailAddress?: string | null;

  @Field(() => String, { nullable: true, description: texts.customerName })
  customerName?: string | null;

  @Field(() => String, { nullable: true, description: texts.customerPurchaseIp })
  customerPurchaseIp?: string | null;

  @Field(() => String, { nullable: true, description: texts.duplicateChargeExplanation })
  duplicateChargeExplanation?: string | null;

  @Field(() => String, { nullable: true, description: texts.duplicateChargeId })
  duplicateChargeId?: string | null;

  @Field(() => String, { nullable: true, description: texts.productDescription })
  productDescription?: string | null;

  @Field(() => String, { nullable: true, description: texts.refundPolicyDisclosure })
  refundPolicyDisclosure?: string | null;

  @Field(() => String, { nullable: true, description: texts.refundRefusalExplanation })
  refundRefusalExplanation?: string | null;

  @Field(() => String, { nullable: true, description: texts.serviceDate })
  serviceDate?: string | null;

  @Field(() => String, { nullable: true, description: texts.shippingAddress })
  shippingAddress?: string | null;

  @Field(() => String, { nullable: true, description: texts.shippingCarrier })
  shippingCarrier?: string | null;

  @Field(() => String, { nullable: true, description: texts.shippingDate })
  shippingDate?: string | null;

  @Field(() => String, { nullable: true, description: texts.shippingTrackingNumber })
  shippingTrackingNumber?: string | null;

  @Field(() => String, { nullable: true, description: texts.uncategorizedText })
  uncategorizedText?: string | null;
}
