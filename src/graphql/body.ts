import { type IncomingMessage } from 'node:http';
import { readJsonBytes, UnreadableBody } from '../shared/body.js';

/**
 * Reads a JSON body.
 * @returns undefined when it is not said to be JSON
 * @throws UnreadableBody
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const bytes = await readJsonBytes(request);
  if (!bytes) return undefined;
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    throw new UnreadableBody(400, 'it is no JSON.');
  }
}
