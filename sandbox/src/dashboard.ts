/** Text made safe for HTML. */
export function escapeHtml(text: unknown): string {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

const style = `
  :root { color-scheme: light dark; --line: #8884; --soft: #888; --accent: #5851ea }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.3rem } h2 { font-size: 1rem; margin-top: 2rem }
  a { color: var(--accent) } @media (prefers-color-scheme: dark) { a { color: #a5a0ff } }
  table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums }
  code { font: 13px ui-monospace, monospace } .soft { color: var(--soft) }
  main.card { max-width: 26rem; margin: 8vh auto; padding: 1.5rem; border: 1px solid var(--line); border-radius: .75rem }
  label { display: block; margin: .75rem 0 } input, select { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; border: 1px solid var(--line); border-radius: .4rem }
  button { font: inherit; padding: .55rem 1.1rem; border: 1px solid var(--accent); border-radius: .4rem; background: var(--accent); color: #fff; cursor: pointer }
  button.quiet { background: none; color: inherit; border-color: var(--line) } .actions { display: flex; gap: .5rem; flex-wrap: wrap; margin-top: 1rem }
`;

/** The frame of every hosted page. `body` is HTML already. */
export function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title><style>${style}</style></head><body>${body}</body></html>`;
}

/** A page with one card in the middle: onboarding, 3-D Secure and the like. */
export function card(title: string, body: string): string {
  return page(
    title,
    `<main class="card"><h1>${escapeHtml(title)}</h1>${body}<p class="soft">local-stripe, test mode. Nothing here is real.</p></main>`,
  );
}
