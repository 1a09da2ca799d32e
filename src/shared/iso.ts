const dayMs = 86_400_000;

/** `2026-11-23T` by day since 1970. An answer holds many instants of few days. */
const days = new Map<number, string>();
const maxDays = 4_000;
const twoDigits = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));

/** What `toISOString` says, several times as fast. */
export function isoOf(date: Date): string {
  const time = date.getTime();
  const day = Math.floor(time / dayMs);
  const rest = time - day * dayMs;
  const hours = Math.floor(rest / 3_600_000);
  const minutes = Math.floor(rest / 60_000) % 60;
  const seconds = Math.floor(rest / 1_000) % 60;
  const millis = rest % 1_000;
  const zeros = millis < 10 ? '00' : millis < 100 ? '0' : '';
  return `${days.get(day) ?? dayOf(day)}${twoDigits[hours]}:${twoDigits[minutes]}:${twoDigits[seconds]}.${zeros}${millis}Z`;
}

function dayOf(day: number): string {
  const text = new Date(day * dayMs).toISOString();
  const start = text.slice(0, text.indexOf('T') + 1);
  if (days.size >= maxDays) days.clear();
  days.set(day, start);
  return start;
}
