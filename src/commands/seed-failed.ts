import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import type { ConnectionSettings } from '../config/settings.js';
import type { MigrateResult } from '../migrator/migrate.js';
import type { Result } from '../output/result.js';
import { migrateFields } from './migrate-answer.js';

/** The migrations are in, the seed is not: both are said. */
export class SeedFailed extends KasmDbError {
  /** Goes into the result. */
  readonly fields: Partial<Result>;

  constructor(error: KasmDbError, migrated: MigrateResult, settings: ConnectionSettings) {
    const { applied } = migrated;
    const done =
      applied.length > 0
        ? `${plural(applied.length, 'migration was', 'migrations were')} applied, but the seed failed: `
        : '';
    const { hint, ...details } = error.details;
    super(error.outcome, `${done}${error.message}`, {
      ...details,
      hint: /--seed(?!s)/.test(hint ?? '')
        ? (hint as string)
        : `${hint ? `${hint}; then ` : ''}run: kasm-db migrate --seed`,
      exitCode: error.exitCode,
      cause: error,
    });
    this.fields = migrateFields(migrated, settings);
  }
}
