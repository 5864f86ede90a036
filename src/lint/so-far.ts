import type { ParsedStatement } from '../postgres/parser.js';
import type { Known } from './known.js';
import { LOCK_ORDER, type LockMode, stopsOthers } from './lock-modes.js';
import { locksOf } from './locks.js';
import { commandsOf, nameOf } from './tree.js';

/** What the statements of one file have done so far, whose transaction keeps it. */
export class SoFar {
  private readonly held = new Map<string, LockMode>();
  private readonly stops = new Map<string, LockMode>();
  private readonly added = new Set<string>();

  /** The strongest lock that the transaction has on a table. */
  lockOn(table: string): LockMode | undefined {
    return this.held.get(table);
  }

  /** Has the file added this constraint? */
  hasAdded(table: string, constraint: string): boolean {
    return this.added.has(`${table}\0${constraint}`);
  }

  /** Tables whose lock stops writers or readers, in the order in which they are locked. */
  get stopped(): ReadonlyMap<string, LockMode> {
    return this.stops;
  }

  /** @param known what was there before the statement */
  take(statement: ParsedStatement, known: Known): void {
    for (const { table, mode, creates } of locksOf(statement, known)) {
      // Nobody waits for what this file makes.
      if (creates || known.isFresh(table)) continue;
      const before = this.held.get(table);
      if (before === undefined || LOCK_ORDER.indexOf(mode) > LOCK_ORDER.indexOf(before)) this.held.set(table, mode);
      if (stopsOthers(mode)) this.stops.set(table, this.held.get(table) as LockMode);
    }
    for (const cmd of commandsOf(statement)) {
      const name = cmd.subtype === 'AT_AddConstraint' ? cmd.def?.Constraint?.conname : undefined;
      if (name) this.added.add(`${nameOf(statement.node.relation)}\0${name}`);
    }
  }
}
