import { invalid } from './errors.js';

/** What a form body decodes to: text at the leaves. */
type FormValue = string | FormValue[] | { [key: string]: FormValue };
export type FormHash = { [key: string]: FormValue };

/**
 * Decodes `a[b][0]=c` bodies and query strings the way Stripe reads them: `a[]=` appends, `a[0]=` indexes, other brackets nest.
 * A hash whose keys are all whole numbers is an array (the SDK writes arrays so).
 */
export function decodeForm(text: string): FormHash {
  const pairs: [string, string][] = [];
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const rawKey = unescapeForm(at < 0 ? pair : pair.slice(0, at));
    pairs.push([rawKey, at < 0 ? '' : unescapeForm(pair.slice(at + 1))]);
  }
  return decodePairs(pairs);
}

/** The same for names and values that were read already. */
export function decodePairs(pairs: [name: string, value: string][]): FormHash {
  const root: FormHash = Object.create(null) as FormHash;
  for (const [name, value] of pairs) assign(root, keyPath(name), value);
  return arrays(root) as FormHash;
}

function unescapeForm(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalid('Invalid request body: it is not valid application/x-www-form-urlencoded.');
  }
}

function keyPath(key: string): string[] {
  const open = key.indexOf('[');
  if (open <= 0) return [key];
  const path = [key.slice(0, open)];
  for (const match of key.slice(open).matchAll(/\[([^\]]*)\]/g)) path.push(match[1]!);
  return path;
}

function assign(root: FormHash, path: string[], value: string): void {
  let node = root;
  for (let i = 0; i < path.length - 1; i++) {
    const key = nextKey(node, path[i]!);
    const child = node[key];
    if (typeof child === 'object' && !Array.isArray(child)) node = child;
    else node = node[key] = Object.create(null) as FormHash;
  }
  node[nextKey(node, path.at(-1)!)] = value;
}

/** `a[]=` takes the next free index. */
function nextKey(node: FormHash, key: string): string {
  return key === '' ? String(Object.keys(node).length) : key;
}

function arrays(value: FormValue): FormValue {
  if (typeof value === 'string' || Array.isArray(value)) return value;
  const keys = Object.keys(value);
  for (const key of keys) value[key] = arrays(value[key]!);
  const indexed = keys.length > 0 && keys.every((key) => /^\d+$/.test(key));
  return indexed ? keys.sort((a, b) => Number(a) - Number(b)).map((key) => value[key]!) : value;
}
