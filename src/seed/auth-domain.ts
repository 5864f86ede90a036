import type { SeedDocument, SeedRow } from './document.js';

/** Where it comes from, for messages. */
const SOURCE = 'KASM_DB_AUTH_DOMAIN';

/** The setting kasm_auth_domain, over what any document says: the last step of the preseed of Kasm's own chart. Pure. */
export function withAuthDomain(documents: readonly SeedDocument[], domain: string | undefined): SeedDocument[] {
  if (!domain) return [...documents];
  const isIt = ({ table, cells }: SeedRow) =>
    table === 'settings' && cells.get('category')?.value === 'auth' && cells.get('name')?.value === 'kasm_auth_domain';
  const cell = (value: unknown, line = 1) => ({ value, line });
  const changed = documents.map((document) => ({
    ...document,
    rows: document.rows.map((row) =>
      isIt(row) ? { ...row, cells: new Map([...row.cells, ['value', cell(domain, row.line)]]) } : row,
    ),
  }));
  if (documents.some(({ rows }) => rows.some(isIt))) return changed;
  const cells = new Map(
    Object.entries({
      category: cell('auth'),
      name: cell('kasm_auth_domain'),
      title: cell('Authentication domain'),
      value: cell(domain),
      value_type: cell('string'),
    }),
  );
  const rows = [{ table: 'settings', file: SOURCE, line: 1, cells }];
  return [...changed, { file: SOURCE, overlay: true, alembicVersion: undefined, rows }];
}
