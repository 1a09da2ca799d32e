import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Font } from 'fontkit';
import { type Attachment, type Sender } from '../mail/letter.js';
import { Say } from '../mail/say.js';
import { type ReceiptData } from '../mail/templates/receipt.js';

/** What is written with. */
interface Fonts {
  readonly plain: Font;
  readonly bold: Font;
}

/**
 * The receipt as a page to be kept. The same data make the same bytes: its stamps are the payment's. Of the fonts only the letters that are used
 * are in it.
 * @param font path of a TrueType or OpenType file for names in scripts that DejaVu Sans does not know, which it shows as boxes
 */
export async function receiptPdf(
  data: ReceiptData,
  sender: Sender,
  font: string | null = null,
): Promise<readonly Attachment[]> {
  const fonts = await fontsOf(font);
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
  draw(document, data, sender, say, fonts);
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

/** By path, null for those that come along. Read once: that takes longer than ten receipts. A process that makes none reads none. */
const known = new Map<string | null, Promise<Fonts>>();

function fontsOf(path: string | null): Promise<Fonts> {
  let found = known.get(path);
  if (!found) {
    known.set(path, (found = path ? one(path) : usual()));
    // What could not be read just now is read again.
    found.catch(() => known.delete(path));
  }
  return found;
}

async function one(path: string): Promise<Fonts> {
  const plain = await read(path);
  return { plain, bold: plain };
}

/** Latin, Greek and Cyrillic letters, and more: names are not only Western Europe's. */
async function usual(): Promise<Fonts> {
  const require = createRequire(import.meta.url);
  const [plain, bold] = await Promise.all([
    read(require.resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf')),
    read(require.resolve('dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf')),
  ]);
  return { plain, bold };
}

/** @throws Error for a collection of fonts: which one is meant, nobody knows */
async function read(path: string): Promise<Font> {
  const { create } = await import('fontkit');
  const font = create(await readFile(path));
  if (!('layout' in font)) throw new Error(`${path} is no single font.`);
  // A glyph keeps the letter that it was first asked for with, and none if it was first met as a part of another: asked for in order, each
  // stands for the same in every receipt. Ligatures stand for their letters.
  for (const letter of font.characterSet) if (letter < 0xfb00 || letter > 0xfb06) font.glyphForCodePoint(letter);
  return font;
}

function draw(document: PDFKit.PDFDocument, data: ReceiptData, sender: Sender, say: Say, fonts: Fonts): void {
  // It takes fonts that were read already, too, which its types do not say.
  const source = (font: Font) => font as unknown as Buffer;
  document.registerFont('plain', source(fonts.plain)).registerFont('bold', source(fonts.bold));
  document.font('bold').fontSize(16).text(say.tenant);
  document.font('plain').fontSize(10).fillColor('#4b5563');
  if (sender.postalAddress) document.text(sender.postalAddress);
  document.moveDown(3).fillColor('#111827').font('bold').fontSize(22).text('Receipt');
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
    document.font('plain').fillColor('#6b7280').text(label, 56, y, { width: 130 });
    document.font(label === 'Amount paid' ? 'bold' : 'plain').fillColor('#111827');
    document.text(value, 190, y, { width: 340 });
    document.moveDown(0.5);
  }
}
