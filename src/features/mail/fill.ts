import { type View, type ViewValue } from './mail-template.js';

// Templates know four things: `{{name}}`, `{{#name}}…{{/name}}` once for each of a list or if there is something, `{{^name}}…{{/name}}` if
// there is not. There is no way to write a value unescaped, to call a function or to reach a file.

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly name: string }
  | { readonly kind: 'section'; readonly name: string; readonly inverted: boolean; readonly parts: readonly Part[] };

/** What a value goes through before it stands in the result. */
type Escape = (value: string, name: string) => string;

/** Nothing of a value becomes markup, and an address leads nowhere but to the web. */
export const intoHtml: Escape = (value, name) => {
  const safe = /Url$/.test(name) && !isWebAddress(value) ? '' : value;
  return safe.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
};

/** What looks like the end of a line cannot add one. */
export const intoText: Escape = (value) => value.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');

/**
 * Makes a template ready to be filled, as often as wanted.
 * @throws Error when it is malformed; and, when it is filled, when it names a value that the view does not have
 */
export function template(source: string, escape: Escape): (view: View) => string {
  const parts = parse(source);
  return (view) => fill(parts, [view], escape);
}

function parse(source: string): readonly Part[] {
  const root: Part[] = [];
  const open: { readonly name: string; readonly parts: Part[] }[] = [{ name: '', parts: root }];
  let at = 0;
  for (const tag of source.matchAll(/\{\{([#^/]?)\s*([A-Za-z]\w*)\s*\}\}/g)) {
    const [all, sign, name] = tag as unknown as [string, string, string];
    const { parts } = open.at(-1)!;
    if (tag.index > at) parts.push({ kind: 'text', text: source.slice(at, tag.index) });
    at = tag.index + all.length;
    if (sign === '') parts.push({ kind: 'value', name });
    else if (sign === '/') {
      if (open.pop()!.name !== name || open.length === 0) throw new Error(`{{/${name}}} closes what is not open.`);
    } else {
      const section = { kind: 'section' as const, name, inverted: sign === '^', parts: [] };
      parts.push(section);
      open.push(section);
    }
  }
  if (open.length > 1) throw new Error(`{{#${open.at(-1)!.name}}} is not closed.`);
  if (at < source.length) root.push({ kind: 'text', text: source.slice(at) });
  return root;
}

function fill(parts: readonly Part[], scopes: readonly View[], escape: Escape): string {
  return parts
    .map((part) => {
      if (part.kind === 'text') return part.text;
      const value = find(part.name, scopes);
      if (part.kind === 'value') return typeof value === 'string' ? escape(value, part.name) : '';
      if (part.inverted) return isThere(value) ? '' : fill(part.parts, scopes, escape);
      if (!isThere(value)) return '';
      const each = Array.isArray(value)
        ? (value as readonly View[])
        : [typeof value === 'object' ? (value as View) : {}];
      return each.map((inner) => fill(part.parts, [inner, ...scopes], escape)).join('');
    })
    .join('');
}

function find(name: string, scopes: readonly View[]): ViewValue {
  const scope = scopes.find((view) => Object.hasOwn(view, name));
  if (!scope) throw new Error(`Nothing is called ${name}.`);
  return scope[name]!;
}

function isThere(value: ViewValue): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
