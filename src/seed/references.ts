import { isRequired, type Table } from './catalog.js';
import type { CurrentRows } from './current.js';
import { NATURAL_KEYS } from './natural-keys.js';
import type { ResolvedRow } from './resolve-rows.js';
import type { Texts } from './texts.js';

/** A row of the documents whose references lead to the keys that the database has. */
export interface FollowedRow {
  values: Record<string, unknown>;
  texts: Texts;
  /** It needs a row that is not there any more. */
  gone: boolean;
}

/** What the documents' rows refer to, while it turns out which keys the database has for them. */
export class References {
  private readonly renamed = new Map<string, string>();
  private readonly removed = new Set<string>();
  private readonly inserted = new Set<string>();
  /** Values of a column that is referred to, by table.column. */
  private readonly present = new Map<string, Set<string>>();

  constructor(private readonly current: CurrentRows) {}

  /** Puts the keys that rows really have in place of those that the documents made. @param made texts of the row's values, as the documents have them */
  follow({ table, values }: ResolvedRow, made: Texts): FollowedRow {
    const followed: FollowedRow = { values: { ...values }, texts: { ...made }, gone: false };
    for (const key of table.foreignKeys) {
      const value = made[key.column];
      if (value === null || value === undefined) continue;
      const id = idOf(key.table, value);
      const actual = this.renamed.get(id);
      if (this.removed.has(id)) {
        if (isRequired(table, key) || NATURAL_KEYS[table.name]?.includes(key.column)) followed.gone = true;
        else {
          followed.texts[key.column] = null;
          delete followed.values[key.column];
        }
      } else if (actual !== undefined) {
        followed.texts[key.column] = actual;
        followed.values[key.column] = actual;
      }
    }
    return followed;
  }

  /** The database has the row under another key. */
  rename(table: Table, made: Texts, rowKey: string): void {
    const value = singleKey(table, made);
    if (value && value !== rowKey) this.renamed.set(idOf(table.name, value), rowKey);
  }

  /** The row is not there, and will not be. */
  remove(table: Table, made: Texts): void {
    const value = singleKey(table, made);
    if (value) this.removed.add(idOf(table.name, value));
  }

  /** The row will be there for those that are inserted behind it. */
  insert(table: Table, texts: Texts): void {
    const value = singleKey(table, texts);
    if (value) this.inserted.add(idOf(table.name, value));
  }

  /** Is the row that is referred to there already when the next one is inserted? */
  isThere(table: string, column: string, value: string): boolean {
    return this.inserted.has(idOf(table, value)) || this.valuesOf(table, column).has(value);
  }

  private valuesOf(table: string, column: string): Set<string> {
    const id = `${table}.${column}`;
    const values =
      this.present.get(id) ??
      new Set([...(this.current.get(table)?.values() ?? [])].map((texts) => texts[column] ?? ''));
    this.present.set(id, values);
    return values;
  }
}

const idOf = (table: string, value: string) => `${table}\0${value}`;

/** By what others refer to a row. */
function singleKey({ primaryKey }: Table, texts: Texts): string | null | undefined {
  return primaryKey.length === 1 ? texts[primaryKey[0] as string] : undefined;
}
