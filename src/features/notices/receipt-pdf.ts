import { type Attachment, type Sender } from '../mail/letter.js';
import { Say } from '../mail/say.js';
import { type ReceiptData } from '../mail/templates/receipt.js';

/**
 * The receipt as a page to be kept. The same data make the same bytes: its stamps are the payment's.
 * @param font a TrueType or OpenType file for names in any script; without one letters that Western Europe does not use lose their marks or
 *   become a question mark, as the fonts that every PDF reader has know no others
 */
export async function receiptPdf(
  data: ReceiptData,
  sender: Sender,
  font: string | null = null,
): Promise<readonly Attachment[]> {
  const { default: PDFDocument } = await import('pdfkit');
  const say = new Say(sender.senderName ?? sender.tenant, sender.timeZone, sender.locale);
  const paidAt = new Date(data.paidAt);
  const document = new PDFDocument({
    size: 'A4',
    margin: 56,
    info: { Title: `Receipt ${data.receiptNumber}`, CreationDate: paidAt, ModDate: paidAt },
  });
  const chunks: Buffer[] = [];
  document.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((resolve) => document.on('end', resolve));
  draw(document, data, sender, say, font);
  document.end();
  await ended;
  return [
    {
      filename: `receipt-${data.receiptNumber.toLowerCase()}.pdf`,
      contentType: 'application/pdf',
      content: Buffer.concat(chunks),
    },
  ];
}

function draw(document: PDFKit.PDFDocument, data: ReceiptData, sender: Sender, say: Say, font: string | null): void {
  const [plain, bold] = font ? [font, font] : ['Helvetica', 'Helvetica-Bold'];
  const text = font ? (value: string) => value : westernOf;
  document.font(bold).fontSize(16).text(text(say.tenant));
  document.font(plain).fontSize(10).fillColor('#4b5563');
  if (sender.postalAddress) document.text(text(sender.postalAddress));
  document.moveDown(3).fillColor('#111827').font(bold).fontSize(22).text('Receipt');
  document.moveDown(1).fontSize(11);
  const lines: readonly (readonly [label: string, value: string | null])[] = [
    ['Receipt', data.receiptNumber],
    ['Received from', data.customerName],
    ['Paid on', say.date(data.paidAt)],
    ['Invoice', data.invoiceNumber],
    ['For', data.description],
    ['Paid with', data.method],
    ['Amount paid', say.money(data.amount)],
  ];
  for (const [label, value] of lines) {
    if (value === null) continue;
    const y = document.y;
    document.font(plain).fillColor('#6b7280').text(label, 56, y, { width: 130 });
    document.font(label === 'Amount paid' ? bold : plain).fillColor('#111827');
    document.text(text(value), 190, y, { width: 340 });
    document.moveDown(0.5);
  }
}

/** What the fonts of every PDF reader can show (Windows-1252): marks go where they are not known, and what is left becomes `?`. */
function westernOf(value: string): string {
  return [...value.replace(/[\u00a0\u202f\u2009]/g, ' ')].map(known).join('');
}

/** Letters that no mark makes of others. */
const alike: Readonly<Record<string, string>> = {
  Đ: 'D',
  đ: 'd',
  Ħ: 'H',
  ħ: 'h',
  ı: 'i',
  Ł: 'L',
  ł: 'l',
  '\u2212': '-',
};
/** Beside Latin-1. */
const known1252 = '€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ';

function known(sign: string): string {
  const isKnown = (one: string) => /^[\n\u0020-\u007e\u00a1-\u00ff]$/.test(one) || known1252.includes(one);
  if (isKnown(sign)) return sign;
  const bare = alike[sign] ?? sign.normalize('NFKD').replace(/\p{M}/gu, '');
  return [...bare].every(isKnown) ? bare : '?';
}
