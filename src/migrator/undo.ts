import { KasmDbError } from '../app/errors.js';
import { halfUndoneSql } from '../history/record.js';
import type { Migration } from '../migrations/files.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { type Drop, goneFrom, type Inventory, inventory, lossesIn, refusal } from './data-loss.js';
import { execute } from './execute.js';
import { executeStatements } from './execute-statements.js';
import { progressSql, type Run } from './run.js';
import { undoneSql } from './storage.js';
import { LockTaken } from './with-lock.js';

/** A migration to undo, and its down migration. */
export interface UndoStep {
  migration: Migration;
  down: Migration;
  /** What the file says it drops. */
  drops: Drop[];
}

/** Runs a down migration, and records that it is undone. @throws KasmDbError integrity where it drops what holds something */
export async function undo(run: Run, step: UndoStep, allowDataLoss: boolean): Promise<void> {
  if (!step.down.transaction) return undoStatements(run, step, allowDataLoss);
  const drops = [...step.drops];
  for (;;) {
    try {
      return await undoKnowing(run, step, drops, allowDataLoss);
    } catch (error) {
      if (!(error instanceof Unforeseen)) throw error;
      // Rolled back. Once more, now looking at these too before they are dropped.
      drops.push(...error.drops);
    }
  }
}

/** A file drops what it didn't name: through CASCADE, in a DO block, or under a name it gave before. */
class Unforeseen extends Error {
  constructor(readonly drops: Drop[]) {
    super('the file drops more than it says');
  }
}

async function undoKnowing(run: Run, step: UndoStep, drops: readonly Drop[], allowDataLoss: boolean): Promise<void> {
  const { session } = run.lock;
  const { migration, down } = step;
  const foreseen = new Set(drops.map(keyOf));
  let there: Inventory = new Map();
  await execute(run, down, {
    locked: async () => {
      await requireNewest(run, migration.name);
      if (allowDataLoss) return;
      const losses = await lossesIn(session, drops, true).catch((error) => {
        throw toKasmDbError(error, `looking what rolling back ${migration.name} would drop`, {
          migration: migration.name,
          file: down.path,
        });
      });
      if (losses.length > 0) {
        throw refusal(`${migration.name} was not rolled back, because this`, losses, migration.name);
      }
      there = await inventory(session);
    },
    done: async () => {
      if (allowDataLoss) return;
      const more = goneFrom(there, await inventory(session)).filter((drop) => !isForeseen(drop, foreseen));
      if (more.length > 0) throw new Unforeseen(more);
    },
  });
}

/** Behind a pooler others may have had the lock since the rollback was planned. */
async function requireNewest({ lock }: Run, name: string): Promise<void> {
  if (!lock.state.pooled) return;
  const { history = [] } = await lock.reread();
  const newest = history.at(-1)?.name;
  if (newest === name) return;
  if (!history.some((row) => row.name === name)) throw new LockTaken(undefined);
  throw new KasmDbError('integrity', `${newest} was applied while this rollback was at work`, {
    hint: 'stop what migrates (a deployment that still runs?), then run the rollback again',
  });
}

const keyOf = ({ table, column }: Drop) => `${plain(table)}\0${column ?? ''}`;
/** Names as the inventory writes them. */
const plain = (table: string) => table.replaceAll(/"([a-z_][a-z0-9_$]*)"/g, '$1');

function isForeseen(drop: Drop, foreseen: ReadonlySet<string>): boolean {
  return foreseen.has(keyOf(drop)) || foreseen.has(keyOf({ table: drop.table }));
}

/**
 * Statement by statement. From its first statement on the migration counts as begun and not done, so that neither a check nor a rerun takes it
 * for applied; a rerun goes through the file from its start, where a DROP of what is gone is done.
 */
async function undoStatements(run: Run, { migration, down, drops }: UndoStep, allowDataLoss: boolean): Promise<void> {
  const { session } = run.lock;
  const { name } = migration;
  const losses = allowDataLoss ? [] : await session.reading(() => lossesIn(session, drops, false));
  if (losses.length > 0) throw refusal(`${name} was not rolled back, because this`, losses, name);
  const begun = halfUndoneSql(name);
  await executeStatements(run, down, {
    ...{ done: 0, begun: undefined, dropsAgain: true },
    mark: () => begun,
    unmark: () => begun,
    record: async (done, total) => (done < total ? begun : `${await undoneSql(run, name)}; ${progressSql(run, name)}`),
  });
}
