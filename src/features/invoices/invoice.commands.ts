import { type AnyCommandKind } from '../../jobs/commands/kind.js';
import { setDraftFee } from './draft-fee.js';

/** For the recovery of commands that were cut off. */
export const invoiceCommands: AnyCommandKind[] = [setDraftFee];
