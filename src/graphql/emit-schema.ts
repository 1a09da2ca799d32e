import { readFile, writeFile } from 'node:fs/promises';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { createSchema } from './schema.js';

/** What `schema.graphql` should hold: everything by name, so that moving code changes nothing in it. */
export function schemaText(): string {
  return `# Made by \`npm run schema\`. Not to be edited.\n\n${printSchema(lexicographicSortSchema(createSchema()))}\n`;
}

/** Writes `schema.graphql`, or with `check` only says whether it is current. @returns the exit code */
export async function emitSchema(
  check: boolean,
  { file = 'schema.graphql', say = (line: string) => void process.stdout.write(`${line}\n`) } = {},
): Promise<number> {
  const text = schemaText();
  const current = await readFile(file, 'utf8').catch(() => null);
  if (check) {
    if (current !== text) say(`${file} does not show the schema as it is. Run \`npm run schema\` and commit the file.`);
    return current === text ? 0 : 1;
  }
  await writeFile(file, text);
  say(current === text ? `${file} was current.` : `${file} is written.`);
  return 0;
}

if (import.meta.filename === process.argv[1]) process.exitCode = await emitSchema(process.argv.includes('--check'));
