import type { Table } from './catalog.js';
import { type EncryptedColumn, mayBeEncrypted } from './encrypted.js';
import type { SeedRecord } from './records.js';
import type { Write } from './write-rows.js';

/** Global settings of Kasm 1.19, as its chart implies; of 77 the names are public (docs/ASSUMPTIONS.md, Seeds). */
const SETTINGS = 87;

/**
 * Columns into which this seed writes plain text for the first time, and which a genuine Kasm API may expect encrypted. Pure.
 * @param records what earlier seeds have written
 */
export function newPlainText(
  writes: readonly Write[],
  records: readonly SeedRecord[],
  catalog: ReadonlyMap<string, Table>,
): string[] {
  const earlier = new Set(
    records.flatMap(({ table, columns }) =>
      Object.entries(columns).flatMap(([column, { print }]) => (print === null ? [] : [`${table}.${column}`])),
    ),
  );
  const written = writes.flatMap(({ table, values }) =>
    Object.entries(values).flatMap(([name, value]) => {
      const column = catalog.get(table)?.columns.get(name);
      return value !== null && column && mayBeEncrypted(table, column) ? [`${table}.${name}`] : [];
    }),
  );
  return [...new Set(written)].filter((name) => !earlier.has(name)).sort();
}

/** What a count of rows of settings means; undefined: nothing. Pure. */
export function missingSettingsText(rows: number): string | undefined {
  return rows < SETTINGS
    ? `settings has ${rows} rows, Kasm 1.19 has ${SETTINGS}: the names of the others are not published; an Export Configuration of your own has them (kasm-db seed --seeds FILE, docs/KASM-SEED.md)`
    : undefined;
}

export interface Noted {
  /** Tables of an adopted database, in which others had rows, that had none. */
  lacking: readonly string[];
  /** Columns, see newPlainText. */
  plainText: readonly string[];
  encrypted: readonly EncryptedColumn[];
  /** Rows of settings that are there afterwards; undefined: this seed has added none. */
  settings: number | undefined;
  /** Is a user there afterwards? undefined: nobody may know. */
  users: boolean | undefined;
}

/** What somebody has to be told of a seed that succeeded. Pure. */
export function warningsOf({ lacking, plainText, encrypted, settings, users }: Noted): string[] {
  const mixed = plainText.filter((column) => encrypted.some(({ name }) => name === column));
  const beside = mixed.length > 0 ? `; beside it stands what looks encrypted (${mixed.join(', ')})` : '';
  const warnings = [
    lacking.length > 0 &&
      `${lacking.join(' and ')} had no row, so Kasm must have stopped halfway through its own seed: what was missing was added, and the rows that were there stay as they are`,
    plainText.length > 0 &&
      `this seed stores plain text in ${plainText.join(', ')}, where a genuine Kasm API (1.18 or later) may expect it encrypted${beside}; to have Kasm's own code write its rows instead, in a new database: seed.by: kasm (docs/KASM-SEED.md)`,
    settings !== undefined && missingSettingsText(settings),
    users === false &&
      'there is no user, so nobody can log in: the documents of --seeds replace those that ship, unless they are an overlay (custom_properties.yaml)',
  ];
  return warnings.filter((warning) => typeof warning === 'string');
}
