import type Stripe from 'stripe';
import { invalid } from '../errors.js';
import { newId } from '../ids.js';
import { listPage } from '../list.js';
import { Upload } from '../multipart.js';
import { inRange, listParams, Param, p } from '../params.js';
import { type Resource } from '../resource.js';
import { RawAnswer, route } from '../router.js';

const purposes = [
  'account_requirement',
  'additional_verification',
  'business_icon',
  'business_logo',
  'customer_signature',
  'dispute_evidence',
  'identity_document',
  'issuing_regulatory_reporting',
  'pci_document',
  'platform_terms_of_service',
  'tax_document_user_upload',
  'terminal_android_apk',
  'terminal_reader_splashscreen',
] as const;

/** Kept contents end here; what is larger is known by its size only. */
const keptBytes = 256 * 1024;

const upload = new Param<Upload>((raw, path) => {
  if (raw instanceof Upload) return raw;
  throw invalid(`Invalid file: ${path} must be sent as multipart/form-data`, path);
});

const typeOf = (name: string, mime: string): string =>
  /\.([a-z0-9]{2,5})$/i.exec(name)?.[1]?.toLowerCase() ?? mime.split('/')[1] ?? 'bin';

/** Uploads, as far as the evidence of disputes needs them. {@link https://docs.stripe.com/api/files} */
export const files: Resource = {
  expandable: ['file'],
  routes: [
    route(
      'POST',
      '/v1/files',
      { file: upload.required(), purpose: p.enum(...purposes).required() },
      (ctx, { file: { name, type, bytes }, purpose }) => {
        if (bytes.length === 0) throw invalid('The file is empty.', 'file');
        const id = newId('file');
        if (bytes.length <= keptBytes) Object.assign(ctx.secret(id), { base64: bytes.toString('base64'), mime: type });
        const file: Stripe.File = {
          id,
          object: 'file',
          created: ctx.now,
          expires_at: purpose === 'dispute_evidence' ? ctx.now + 270 * 86_400 : null,
          filename: name,
          links: { object: 'list', data: [], has_more: false, url: `/v1/file_links?file=${id}` },
          purpose,
          size: bytes.length,
          title: null,
          type: typeOf(name, type),
          url: `${ctx.url}/v1/files/${id}/contents`,
        };
        ctx.table('file').insert(file);
        ctx.emit('file.created', file);
        return file;
      },
    ),
    route(
      'GET',
      '/v1/files',
      { ...listParams, created: p.range(), purpose: p.string() },
      (ctx, { created, purpose, ...page }) =>
        listPage(
          ctx.table('file'),
          '/v1/files',
          page,
          (file) => inRange(file.created, created) && (purpose === undefined || file.purpose === purpose),
        ),
    ),
    route('GET', '/v1/files/:id', {}, (ctx, _params, { id }) => ctx.table('file').require(id, 'file')),
    route('GET', '/v1/files/:id/contents', {}, (ctx, _params, { id }) => {
      ctx.table('file').require(id, 'file');
      const { base64, mime } = ctx.secret<{ base64: string; mime: string }>(id);
      if (base64 === undefined) throw invalid('The contents of this file were not kept.');
      return new RawAnswer(200, { 'content-type': mime ?? 'application/octet-stream' }, Buffer.from(base64, 'base64'));
    }),
  ],
};
