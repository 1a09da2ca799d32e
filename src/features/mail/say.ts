import { minorDigits } from '../../shared/money.js';

/** Minor units and their currency, as they are stored with a mail. */
export interface MailMoney {
  readonly amount: number;
  readonly currency: string;
}

/** Writes amounts and times as the reader expects them: in the tenant's language and time zone. */
export class Say {
  private readonly locale: string;
  readonly timeZone: string;

  /**
   * @param tenant the name it signs with
   * @param timeZone IANA; UTC where this runtime does not know it
   * @param locale BCP 47; English where this runtime does not know it
   */
  constructor(
    readonly tenant: string,
    timeZone: string,
    locale: string,
  ) {
    this.locale = isLocale(locale) ? locale : 'en';
    this.timeZone = isTimeZone(timeZone) ? timeZone : 'UTC';
  }

  /** `$1,234.50`, `1.234,50 €`. No digit passes through a float. */
  money({ amount, currency }: MailMoney): string {
    const digits = minorDigits(currency);
    const text = Math.abs(amount)
      .toString()
      .padStart(digits + 1, '0');
    const whole = text.slice(0, text.length - digits);
    const exact = `${amount < 0 ? '-' : ''}${whole}${digits ? `.${text.slice(-digits)}` : ''}` as `${number}`;
    return new Intl.NumberFormat(this.locale, {
      style: 'currency',
      currency,
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    }).format(exact);
  }

  /** `23 November 2026`. */
  date(at: string): string {
    return new Intl.DateTimeFormat(this.locale, { dateStyle: 'long', timeZone: this.timeZone }).format(new Date(at));
  }

  /** With hour, minute and the name of the time zone. */
  dateTime(at: string): string {
    return new Intl.DateTimeFormat(this.locale, {
      ...{ year: 'numeric', month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit' },
      timeZoneName: 'short',
      timeZone: this.timeZone,
    }).format(new Date(at));
  }
}

/** Whether amounts and dates can be written in it. */
export function isLocale(tag: string): boolean {
  try {
    return Intl.NumberFormat.supportedLocalesOf(tag).length === 1;
  } catch {
    return false;
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
