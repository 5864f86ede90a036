import { KasmDbError, messageOf } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { findHistoryTable } from '../history/tables.js';
import type { Session } from '../postgres/session.js';
import { type EncryptedColumn, findEncrypted } from '../seed/encrypted.js';
import { readRecords } from '../seed/records.js';
import type { Report } from './report.js';

/** Does Kasm keep values encrypted in this database, and what does that mean for us? @returns the columns */
export async function checkEncryption(report: Report, session: Session): Promise<string[]> {
  try {
    const columns = await session.reading(async () => {
      const seeds = await findHistoryTable(session, 'kasm_db.seeds');
      return findEncrypted(session, seeds?.readable ? await readRecords(session) : []);
    });
    describe(report, columns);
    return columns.map(({ name }) => name);
  } catch (error) {
    // What is wrong with the tables is told with the seed.
    if (!(error instanceof KasmDbError))
      report.warning(
        'encryption',
        `whether Kasm has encrypted values could not be looked up: ${messageOf(error)}`,
        'look whether the tables are as Kasm makes them',
      );
    return [];
  }
}

function describe(report: Report, columns: readonly EncryptedColumn[]): void {
  const list = (some: readonly EncryptedColumn[]) => some.map(({ name }) => name).join(', ');
  const mixed = columns.filter(({ plain }) => plain);
  const found = `${plural(columns.length, 'column looks', 'columns look')} encrypted by Kasm: ${list(columns)}`;
  if (columns.length === 0) report.ok('encryption', 'no value looks encrypted by Kasm');
  else if (mixed.length === 0)
    report.ok(
      'encryption',
      `${found}; only its own code can read and write them, so seed leaves them as they are, --rotate of such a token wants --force, and tokens are changed in Kasm`,
    );
  else
    report.warning(
      'encryption',
      `${found}; but ${list(mixed)} also ${mixed.length === 1 ? 'has' : 'have'} plain text of kasm-db's seed, which a Kasm that encrypts cannot read`,
      'where Kasm works, they only look so; else let its own code write its rows, in a new database (seed.by: kasm, docs/KASM-SEED.md)',
    );
}
