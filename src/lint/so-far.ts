import type { ParsedStatement } from '../postgres/parser.js';
import type { Known } from './known.js';
import { isStronger, type LockMode, stopsOthers } from './lock-modes.js';
import { locksOf } from './locks.js';
import { commandsOf, nameOf } from './tree.js';

/** What the statements of one file have done so far, whose transaction keeps it. */
export class SoFar {
  /** The strongest lock that the transaction has on each table. */
  readonly held = new Map<string, LockMode>();
  /** Those of them that stop writers or readers, in the order in which they are taken. */
  readonly stopped = new Map<string, LockMode>();
  private readonly added = new Set<string>();

  /** Has the file added this constraint? */
  hasAdded(table: string, constraint: string): boolean {
    return this.added.has(`${table}\0${constraint}`);
  }

  /** @param known what was there before the statement */
  take(statement: ParsedStatement, known: Known): void {
    for (const { table, mode, creates } of locksOf(statement, known)) {
      // Nobody waits for what this file makes.
      if (creates || known.isFresh(table)) continue;
      const before = this.held.get(table);
      const strongest = before && isStronger(before, mode) ? before : mode;
      this.held.set(table, strongest);
      if (stopsOthers(mode)) this.stopped.set(table, strongest);
    }
    for (const { subtype, def } of commandsOf(statement)) {
      const name = subtype === 'AT_AddConstraint' && def.Constraint.conname;
      if (name) this.added.add(`${nameOf(statement.node.relation)}\0${name}`);
    }
  }
}
