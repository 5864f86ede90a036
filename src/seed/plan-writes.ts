import { type Breathe, breather } from '../app/time.js';
import { insertOrder } from './catalog.js';
import { compareRow } from './compare-row.js';
import { insertRow } from './insert-row.js';
import { type DatabaseRows, locateRows } from './locate-rows.js';
import type { Problem } from './problems.js';
import type { SeedRecord } from './records.js';
import type { References } from './references.js';
import type { ResolvedRow } from './resolve-rows.js';
import { newRecord, type Place, type PlannableRow, type RowPlan } from './row-plan.js';
import type { Texts } from './texts.js';
import type { Write } from './write-rows.js';

export interface PlannedWrites {
  writes: Write[];
  /** References that could only be made after all rows were there. */
  deferredUpdates: Write[];
  records: SeedRecord[];
  counts: Record<RowPlan['count'], number>;
  /** Of every document row that is in the database afterwards. */
  places: Map<ResolvedRow, Place>;
  problems: Problem[];
}

/** Row key of a recorded row that was not in the database when it was recorded. */
const NOT_THERE = '';

/**
 * What to write: pure but for new salts. A recorded row is updated only where the value is still the one that a seed wrote; one that is not there
 * any more was deleted by someone and stays so. A row without a record is matched by its natural key, else inserted.
 * @param texts how the server writes each row's values, by the row
 */
export async function planWrites(
  rows: readonly ResolvedRow[],
  texts: ReadonlyMap<ResolvedRow, Texts>,
  database: DatabaseRows,
  breathe: Breathe = breather(),
): Promise<PlannedWrites> {
  const tables = insertOrder([...new Set(rows.map(({ table }) => table))]);
  const positions = new Map(tables.map((table, i) => [table.name, i]));
  const position = (table: string) => positions.get(table) ?? 0;
  const { located, references, problems } = await locateRows(tables, rows, texts, database, breathe);
  const planned: PlannedWrites = {
    writes: [],
    deferredUpdates: [],
    records: [],
    counts: { inserted: 0, updated: 0, unchanged: 0, kept: 0 },
    places: new Map(),
    problems,
  };
  for (const row of located) {
    await breathe();
    const followed = { ...row, ...references.follow(row.resolved, row.made) };
    add(planned, row.resolved, planRow(followed, database, references, position));
  }
  return planned;
}

function planRow(
  row: PlannableRow,
  { current, adopting }: DatabaseRows,
  references: References,
  position: (table: string) => number,
): RowPlan {
  if (row.found !== undefined) {
    const now = current.get(row.resolved.table.name)?.get(row.found);
    return now === undefined ? { count: 'kept' } : compareRow(row, now);
  }
  if (row.gone || adopting) return { count: 'kept', record: newRecord(row, NOT_THERE, () => undefined) };
  return insertRow(row, references, position);
}

function add(planned: PlannedWrites, row: ResolvedRow, plan: RowPlan): void {
  planned.counts[plan.count]++;
  if (plan.write) planned.writes.push(plan.write);
  if (plan.deferredUpdate) planned.deferredUpdates.push(plan.deferredUpdate);
  if (plan.record) planned.records.push(plan.record);
  if (plan.place) planned.places.set(row, plan.place);
  planned.problems.push(...(plan.problems ?? []));
}
