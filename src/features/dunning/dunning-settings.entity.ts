import { ArrayType } from '@mikro-orm/core';
import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';

export enum DunningRetries {
  OURS = 'OURS',
  STRIPE = 'STRIPE',
}
registerEnumType(DunningRetries, {
  name: 'DunningRetries',
  description: 'Who tries again to collect an invoice of a subscription.',
  valuesConfig: {
    OURS: { description: "This server, on the tenant's days. Stripe's own retries are to be switched off." },
    STRIPE: { description: 'Stripe, as it is set there: mails and timeline are ours, and nothing else.' },
  },
});

export enum DunningEnd {
  CANCEL = 'CANCEL',
  UNPAID = 'UNPAID',
  LEAVE = 'LEAVE',
}
registerEnumType(DunningEnd, {
  name: 'DunningEnd',
  description: 'What becomes of a subscription whose invoice could not be collected.',
  valuesConfig: {
    CANCEL: { description: 'It is canceled at once.' },
    UNPAID: { description: 'Its further invoices stay drafts and are not collected, until it is resumed by hand.' },
    LEAVE: { description: 'Nothing: somebody will see to it.' },
  },
});

/** Numbers, in a column that holds nothing else. */
export const integers = new ArrayType<number>(Number);

/** How a tenant goes about failed payments. Without a row of its own a tenant has what stands here. */
@ObjectType({ description: 'How the tenant goes about failed payments. A change counts for what fails from then on.' })
@Entity({ tableName: 'dunning_settings' })
export class DunningSettings extends ModeRow {
  @Field(() => DunningRetries, { description: 'Who tries again.' })
  @Property({ type: 'text' })
  retries: DunningRetries = DunningRetries.OURS;

  @Field(() => [Int], {
    description:
      'On which days after the first failure it is tried again, at the hour of the failure in the tenant’s time zone.',
  })
  @Property({ type: integers, columnType: 'integer[]' })
  retryDays: number[] = [1, 3, 5, 7];

  @Field(() => DunningEnd, { description: 'What becomes of the subscription when the last retry failed.' })
  @Property({ type: 'text', fieldName: 'at_end' })
  end: DunningEnd = DunningEnd.LEAVE;

  @Field(() => Boolean, { description: 'Whether the customer is told by e-mail.' })
  @Property({ type: 'boolean' })
  emails: boolean = true;
}
