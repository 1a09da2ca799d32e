/**
 * Whether a text is one e-mail address and nothing else: no second one, no display name, no line of a header smuggled in. Whether somebody
 * reads what goes there only the mail server can say.
 */
export function isAddress(text: string): boolean {
  return (
    text.length <= 254 &&
    /^[^\s\p{C}@<>()[\],;:\\"]{1,64}@[^\s\p{C}@<>()[\],;:\\"]+\.[^\s\p{C}@<>()[\],;:\\".]+$/u.test(text)
  );
}

/** On one line, without anything that a header could take for its end. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
}
