import { Field, Int, ObjectType } from 'type-graphql';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar } from '../../shared/scalars.js';
import { type InvoiceLineReport, type InvoiceReport } from '../../stripe/billing-reports.js';

@ObjectType({ description: 'A line of an invoice that does not exist yet.' })
class InvoicePreviewLine {
  constructor(
    private readonly line: InvoiceLineReport,
    private readonly currency: string,
  ) {}

  @Field(() => String, { nullable: true, description: 'What it is for.' })
  get description(): string | null {
    return this.line.description;
  }

  @Field(() => Money, { description: 'What it comes to; below zero when it gives something back.' })
  get amount(): Money {
    return new Money(this.line.amount, this.currency);
  }

  @Field(() => Int, { nullable: true, description: 'How many units.' })
  get quantity(): number | null {
    return this.line.quantity;
  }

  @Field(() => Boolean, { description: 'Whether it charges or gives back a part of a period.' })
  get proration(): boolean {
    return this.line.proration;
  }

  @Field(() => DateTimeScalar, { description: 'From when on it counts.' })
  get periodStart(): Date {
    return this.line.periodStart;
  }

  @Field(() => DateTimeScalar, { description: 'Until when it counts.' })
  get periodEnd(): Date {
    return this.line.periodEnd;
  }
}

/** What Stripe would bill, as it says itself; nothing of it is computed here. */
@ObjectType({ description: 'What the next invoice of a subscription would be after a change. Nothing is changed.' })
export class InvoicePreview {
  constructor(private readonly report: InvoiceReport) {}

  @Field(() => [InvoicePreviewLine], { description: 'What is billed, line by line; the first ten of them.' })
  get lines(): InvoicePreviewLine[] {
    return this.report.lines.map((line) => new InvoicePreviewLine(line, this.report.currency));
  }

  @Field(() => Money, { description: 'The lines together, before discounts and tax.' })
  get subtotal(): Money {
    return this.money(this.report.subtotal);
  }

  @Field(() => Money, { description: 'Tax.' })
  get tax(): Money {
    return this.money(this.report.tax);
  }

  @Field(() => Money, { description: 'The lines and the tax. Below zero when more is given back than billed.' })
  get total(): Money {
    return this.money(this.report.total);
  }

  @Field(() => Money, { description: 'What would be collected, after the credit that the customer has.' })
  get amountDue(): Money {
    return this.money(this.report.amountDue);
  }

  @Field(() => Money, {
    description: 'All prorations of the change together: what it costs or gives back until the period ends.',
  })
  get prorationTotal(): Money {
    const parts = this.report.lines.filter(({ proration }) => proration);
    return this.money(parts.reduce((sum, { amount }) => sum + amount, 0));
  }

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'The instant the prorations are for: give it to `updateSubscription`, and the sum is this one.',
  })
  get prorationDate(): Date | null {
    return this.report.prorationDate;
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it would be collected.' })
  get chargeAt(): Date | null {
    return this.report.nextAttemptAt;
  }

  private money(amount: number): Money {
    return new Money(amount, this.report.currency);
  }
}
