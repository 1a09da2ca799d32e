import { type IncomingMessage } from 'node:http';
import express, { type Request } from 'express';

/**
 * Tells the address of a client as Express does: proxies that are trusted are passed over.
 * @param trustProxy Express's setting of that name
 */
export function clientAddress(trustProxy: number | string | boolean): (request: IncomingMessage) => string {
  const app = express().set('trust proxy', trustProxy);
  return ({ headers, socket }) => {
    const request = Object.create(app.request, { headers: { value: headers }, socket: { value: socket } }) as Request;
    return request.ip ?? '';
  };
}
