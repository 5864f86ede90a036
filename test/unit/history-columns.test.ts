import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HistoryColumns, historyOf } from '../../src/history/history-columns.js';
import type { FullHistoryRow } from '../../src/history/state.js';

/** As the server puts them together: string_agg and json_agg. */
function columnsOf(rows: readonly FullHistoryRow[], times: boolean): HistoryColumns {
  const text = (of: (row: FullHistoryRow) => string) => rows.map(of).join('\n');
  return {
    name: text((row) => row.name),
    checksum: text((row) => row.checksum),
    kind: rows.map((row) => row.kind),
    app_version: rows.map((row) => row.appVersion),
    min_compatible: rows.map((row) => row.minCompatible),
    statements_done: rows.map((row) => row.statementsDone),
    statements_total: rows.map((row) => row.statementsTotal),
    duration_ms: rows.map((row) => row.durationMs),
    ...(times ? { applied_at: rows.map((row) => row.appliedAt as string) } : {}),
  };
}

const text = fc.string({ unit: fc.constantFrom('a', '0', '_', '', '"', ',', '\r', 'é', '\\') });
const strange = fc.string({ unit: fc.constantFrom('a', '\n') });
const row = (texts: fc.Arbitrary<string>) =>
  fc.record<FullHistoryRow>({
    name: texts,
    checksum: texts,
    kind: fc.constantFrom('sql', 'adopted', 'repaired'),
    minCompatible: fc.option(text),
    statementsDone: fc.option(fc.nat()),
    statementsTotal: fc.option(fc.nat()),
    appVersion: texts,
    durationMs: fc.option(fc.nat()),
    appliedAt: fc.constantFrom('2026-01-01T00:00:00+00:00', '2026-01-02T00:00:00.5+00:00'),
  });
const history = (texts: fc.Arbitrary<string>) =>
  fc.uniqueArray(row(texts), { selector: ({ name }) => name, minLength: 1 });
const sorted = (rows: readonly FullHistoryRow[]) => [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));

describe('history in columns', () => {
  it('is what it was in rows, by name', () => {
    fc.assert(
      fc.property(history(text), (rows) => {
        expect(historyOf(columnsOf(rows, true))).toEqual(sorted(rows));
        expect(historyOf(columnsOf(rows, false))).toEqual(sorted(rows).map(({ appliedAt: _, ...rest }) => rest));
      }),
    );
  });

  it('is not read where a line end in a text could make two rows of one', () => {
    let refused = 0;
    fc.assert(
      fc.property(history(strange), (rows) => {
        const broken = rows.some((r) => `${r.name}${r.checksum}`.includes('\n'));
        expect(historyOf(columnsOf(rows, false)) === undefined).toBe(broken);
        if (broken) refused++;
      }),
    );
    expect(refused).toBeGreaterThan(10);
  });

  it('is none where there is no row', () => {
    expect(historyOf(undefined)).toBeUndefined();
    expect(historyOf({ ...columnsOf([], false), name: null })).toBeUndefined();
  });
});
