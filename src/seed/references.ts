import { idColumn, isRequired, type Table } from './catalog.js';
import { type CurrentRows, valueFinder } from './current.js';
import type { ResolvedRow } from './resolve-rows.js';
import { NATURAL_KEYS, type Texts } from './row-keys.js';

/** A row of the documents whose references lead to the keys that the database has. */
export interface FollowedRow {
  values: Record<string, unknown>;
  texts: Texts;
  /** It needs a row that is not there any more. */
  gone: boolean;
}

/** What the documents' rows refer to, while it turns out which keys the database has for them. */
export class References {
  /** Keys in the database, by those that the documents made; null: the row is not there, and will not be. */
  private readonly keys = new Map<string, string | null>();
  private readonly inserted = new Set<string>();
  private readonly isInDatabase: ReturnType<typeof valueFinder>;

  constructor(current: CurrentRows) {
    this.isInDatabase = valueFinder(current);
  }

  /** Puts the keys that rows really have in place of those that the documents made. @param made texts of the row's values, as the documents have them */
  follow({ table, values }: ResolvedRow, made: Texts): FollowedRow {
    const followed: FollowedRow = { values: { ...values }, texts: { ...made }, gone: false };
    for (const key of table.foreignKeys) {
      const actual = this.keys.get(idOf(key.table, made[key.column]));
      if (actual === undefined) continue;
      if (actual === null && (isRequired(table, key) || NATURAL_KEYS[table.name]?.includes(key.column))) {
        followed.gone = true;
        continue;
      }
      followed.texts[key.column] = actual;
      if (actual === null) delete followed.values[key.column];
      else followed.values[key.column] = actual;
    }
    return followed;
  }

  /** The database has the row under that key; null: it is not there, and will not be. */
  lead(table: Table, made: Texts, rowKey: string | null): void {
    const value = idText(table, made);
    if (value && value !== rowKey) this.keys.set(idOf(table.name, value), rowKey);
  }

  /** The row will be there for those that are inserted behind it. */
  insert(table: Table, texts: Texts): void {
    this.inserted.add(idOf(table.name, idText(table, texts)));
  }

  /** Is the row that is referred to there already when the next one is inserted? */
  isThere(table: string, column: string, value: string): boolean {
    return this.inserted.has(idOf(table, value)) || this.isInDatabase(table, column, value);
  }
}

const idOf = (table: string, value: string | null | undefined) => `${table}\0${value ?? ''}`;

/** By what others refer to a row. */
const idText = (table: Table, texts: Texts) => texts[idColumn(table) ?? ''];
