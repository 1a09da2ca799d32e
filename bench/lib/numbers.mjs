export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of one property over several measurements. */
export const medianOf = (runs, name) => median(runs.map((run) => run[name]));

/** Median of the ratios of measurements that were made one after the other: what disturbed the machine disturbed both. */
export function ratioOf(runs, others, name) {
  return median(runs.map((run, i) => run[name] / others[i][name]));
}

/** @param sorted in ascending order */
export function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

export const round = (value, digits = 0) => (Number.isFinite(value) ? value.toFixed(digits) : '–');

/** Thousands apart: 12,345. */
export const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '–');

/** A table as Markdown has it, which a terminal shows well enough. */
export function table(header, rows) {
  const lines = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, i) => Math.max(...lines.map((row) => row[i].length)));
  const line = (row) =>
    `| ${row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`;
  return [line(lines[0]), rule, ...lines.slice(1).map(line)].join('\n');
}
