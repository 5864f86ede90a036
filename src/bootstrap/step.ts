/** One thing that has to be there, and how it gets there. */
export interface Step {
  /** What will be there: `role kasmapp`. */
  what: string;
  /** It is there already; nothing is run. */
  present: boolean;
  /** Database it is run in: the one for maintenance (postgres), or the application's. */
  where: 'maintenance' | 'target';
  /** Role to take on for it (SET ROLE), so that what it makes belongs to that role. */
  as?: string | undefined;
  /** Statements, separated by semicolons; in the maintenance database exactly one. */
  sql: string;
  /** The same with passwords hidden. */
  sqlForDisplay: string;
  /** The history's tables, which ensureHistory makes. */
  history?: boolean;
}

/** A step in the maintenance database, as the admin. */
export function maintenanceStep(what: string, present: boolean, sql: string, sqlForDisplay = sql): Step {
  return { what, present, where: 'maintenance', sql, sqlForDisplay };
}
