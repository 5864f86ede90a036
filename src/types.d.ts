/** The migrations that ship with this build; made by scripts/build.mjs. */
declare module 'kasm-db:migrations' {
  import type { MigrationHeader } from './migrations/files.js';
  export const headers: MigrationHeader[];
}

/** Their SQL, apart from their headers so that `check` never evaluates it. */
declare module 'kasm-db:migration-sql' {
  export const up: Record<string, string>;
  export const down: Record<string, string>;
}

/** The catalog as the shipped migrations make it. */
declare module 'kasm-db:snapshot' {
  export const snapshot: import('./schema/snapshot.js').Snapshot;
}

/** The seed documents that ship with this build, as the build has read them. */
declare module 'kasm-db:seeds' {
  type Document = import('./seed/document.js').SeedDocument;
  type Row = import('./seed/document.js').SeedRow;
  type Cells = Record<string, import('./seed/document.js').Cell>;
  export const documents: (Pick<Document, 'file' | 'alembicVersion'> & {
    rows: (Pick<Row, 'table' | 'line'> & { cells: Cells })[];
  })[];
}

/** Functions of C libraries, in the standalone executable alone. */
declare module 'bun:ffi' {
  export function dlopen(
    library: string,
    functions: { waitpid: { args: readonly string[]; returns: string } },
  ): { symbols: { waitpid(pid: number, status: null, options: number): number } };
}
