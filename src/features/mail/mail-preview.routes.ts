import { Router } from 'express';
import { type Attachments, isMailName, letterOf, type Sender } from './letter.js';
import { type MailName, mailTemplates } from './templates/mail-templates.js';

/** Nobody's. */
const example: Sender = {
  tenant: 'Northwind IT',
  timeZone: 'Australia/Sydney',
  senderName: null,
  replyTo: 'accounts@northwind.example',
  postalAddress: '1 George Street\nSydney NSW 2000\nAustralia',
  logoUrl: null,
  brandColor: '#1d4ed8',
  locale: 'en',
};

const parts = new Set(['html', 'txt']);

/**
 * Every kind of mail, made from its example: `/dev/mails`. For who writes them, in development only: no tenant's data is in it.
 * `?color=fde047` and `?locale=de` show them as other tenants would have them.
 */
export function mailPreviewRoutes(attachments: Attachments): Router {
  const router = Router();
  router.get('/dev/mails', async (_request, response) => {
    const items = await Promise.all(
      (Object.keys(mailTemplates) as MailName[]).map(async (name) => {
        const { subject } = await letterOf(name, mailTemplates[name].sample, example);
        const file = attachments[name] ? `, <a href="/dev/mails/${name}/0">attachment</a>` : '';
        return `<li>${name}: <a href="/dev/mails/${name}/html">HTML</a>, <a href="/dev/mails/${name}/txt">text</a>${file}<br>
          <small>${escaped(subject)}</small></li>`;
      }),
    );
    response
      .type('html')
      .send(`<!doctype html><html lang="en"><title>Mails</title><h1>Mails</h1><ul>${items.join('')}</ul></html>`);
  });
  router.get('/dev/mails/:name/:part', async (request, response, next) => {
    const { name, part } = request.params;
    if (!isMailName(name)) return next();
    const { color, locale } = request.query;
    const sender: Sender = {
      ...example,
      ...(typeof color === 'string' && /^[0-9a-f]{6}$/.test(color) && { brandColor: `#${color}` }),
      ...(typeof locale === 'string' && { locale }),
    };
    const { sample } = mailTemplates[name];
    if (parts.has(part)) {
      const letter = await letterOf(name, sample, sender);
      response.setHeader(
        'Content-Security-Policy',
        "sandbox; default-src 'none'; img-src https: data:; style-src 'unsafe-inline'",
      );
      return void response.type(part).send(part === 'html' ? letter.html : `${letter.subject}\n\n${letter.text}`);
    }
    const files = /^\d$/.test(part) ? await attachments[name]?.(sample as never, sender) : undefined;
    const file = files?.[Number(part)];
    if (!file) return next();
    response.type(file.contentType).send(file.content);
  });
  return router;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
