/** What comes of dividing, to four places, halves up; null when there is nothing to divide by. */
export function ratio(part: number, whole: number): string | null {
  if (whole <= 0) return null;
  const [doubled, by] = [BigInt(part) * 20_000n + BigInt(whole), BigInt(whole) * 2n];
  // BigInt divides towards zero.
  const places = doubled / by - (doubled < 0n && doubled % by !== 0n ? 1n : 0n);
  const digits = (places < 0n ? -places : places).toString().padStart(5, '0');
  return `${places < 0n ? '-' : ''}${digits.slice(0, -4)}.${digits.slice(-4)}`;
}
