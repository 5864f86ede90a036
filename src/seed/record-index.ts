import { recordId, type SeedRecord } from './records.js';
import type { ResolvedRow } from './resolve-rows.js';
import { rowKeyOfTexts } from './row-keys.js';
import type { Texts } from './texts.js';
import { looksLikeToken } from './tokens.js';

/** Finds what earlier seeds have recorded of a row. */
export class RecordIndex {
  private readonly byDocKey = new Map<string, SeedRecord>();
  private readonly byToken = new Map<string, SeedRecord>();
  private readonly byRowKey = new Map<string, SeedRecord>();

  constructor(records: readonly SeedRecord[]) {
    for (const record of records) {
      const { table, rowKey, columns } = record;
      this.byDocKey.set(recordId(record), record);
      if (rowKey) this.byRowKey.set(`${table}\0${rowKey}`, record);
      for (const [column, { token }] of Object.entries(columns)) {
        if (token) this.byToken.set(`${table}\0${column}\0${token}`, record);
      }
    }
  }

  /** By the name that documents had for it, by its id's token, or by its id itself (an export has ids where documents had tokens). */
  find({ table, docKey, row }: ResolvedRow, texts: Texts): SeedRecord | undefined {
    const key = table.primaryKey.length === 1 ? (table.primaryKey[0] as string) : undefined;
    const token = key === undefined ? undefined : row.cells.get(key)?.value;
    return (
      this.byDocKey.get(recordId({ table: table.name, docKey })) ??
      (looksLikeToken(token) ? this.byToken.get(`${table.name}\0${key}\0${token}`) : undefined) ??
      this.byRowKey.get(`${table.name}\0${rowKeyOfTexts(table, texts)}`)
    );
  }
}
