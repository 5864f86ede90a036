import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './command.js';

/** The build writes it beside the program; in the standalone executable it is an asset. */
const NOTICES = 'THIRD-PARTY-NOTICES.txt';

/** The licences of kasm-db and of all that this program holds. */
export async function licensesCommand(): Promise<Answer> {
  const page = readFileSync(join(import.meta.dirname, NOTICES), 'utf8');
  return { fields: { page }, text: () => page.trimEnd(), verbatim: true };
}
