/** One value of a row, and where it stands. */
export interface Cell {
  value: unknown;
  /** 1-based. */
  line: number;
}

export interface SeedRow {
  table: string;
  file: string;
  line: number;
  /** By column. */
  cells: Map<string, Cell>;
}

/** What a document says. */
export interface SeedContent {
  alembicVersion: { value: string; line: number } | undefined;
  rows: SeedRow[];
}

export interface SeedDocument extends SeedContent {
  file: string;
  /** A `custom` overlay: merged into the others instead of standing beside them. */
  overlay: boolean;
}
