import { type Connection } from './connection.js';
import { type FileId, type Keyed } from './types.js';

/** A file to be kept at Stripe. */
export interface UploadFile {
  readonly filename: string;
  /** `application/pdf`, `image/jpeg`, `image/png`. */
  readonly type: string;
  readonly data: Buffer;
}

/** Keeps a file at Stripe that evidence can refer to by its id. https://docs.stripe.com/file-upload */
export async function uploadEvidenceFile(
  via: Connection,
  { filename, type, data }: UploadFile,
  keyed: Keyed,
): Promise<FileId> {
  const purpose = 'dispute_evidence';
  const file = await via.change({ object: 'file', prefix: 'file_', echo: { purpose } }, keyed, (options) =>
    via.sdk.files.create({ file: { name: filename, type, data }, purpose }, options),
  );
  return file.id as FileId;
}
