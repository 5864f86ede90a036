import type { ProgramSignal } from '../app/signals.js';
import type { Context } from '../config/context.js';
import type { ConnectionFlags } from '../config/places.js';
import type { Resolve } from '../config/settings.js';
import type { Environment } from '../config/variables.js';
import type { MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import type { Result } from '../output/result.js';
import type { Style } from '../output/terminal.js';

/** Options that every database command takes. */
export interface GlobalOptions extends ConnectionFlags {
  /** Folder of migrations; without it, those that ship with kasm-db. */
  migrations?: string;
  /** File of variables `NAME=value`, below those of the environment. */
  envFile?: string;
  /** Start a private PostgreSQL in this folder (true: in .kasm-db/postgres). */
  embedded?: string | true;
  /** Of `plan`: --embedded is where it is rehearsed, and not the database where the settings name one. */
  rehearse?: boolean;
}

/** A command's answer: fields of the result, and a text for people. */
export interface Answer {
  /** Those that are undefined are left out; without an outcome it is ok. */
  fields: Partial<Result>;
  /** What was read of the database, for the result's `database`. */
  state?: MigrationState | undefined;
  text: (s: Style) => string;
  /** The text is for a file or another program: no line of it is broken, on a terminal neither. */
  verbatim?: boolean;
}

export interface CommandContext extends Context {
  migrations: () => Promise<Migration[]>;
  /** Where they are (`--migrations`, KASM_DB_MIGRATIONS); undefined: those that ship with kasm-db. */
  folder: string | undefined;
  env: Environment;
  /** A text that names calls of kasm-db, which get the flags that this call had. */
  again: (text: string, without?: string) => string;
  /** Asks a person; undefined: nobody is there. */
  confirm?: ((question: string) => Promise<boolean | undefined>) | undefined;
  /** Has this process's signals sent to a program that runs under it; undefined: they are not ours to take. @returns ends that */
  passSignals?: ((send: (signal: ProgramSignal) => void) => () => void) | undefined;
  /** The result goes to a terminal, as text. */
  onTerminal?: boolean | undefined;
  /** Shows a text at once, in the place of the one before; undefined: nobody reads it (--json, the library). */
  show?: ((text: Answer['text']) => void) | undefined;
  /** With --embedded beside a database that the settings name (`plan --rehearse`): the private server. */
  aside?: Resolve | undefined;
  /** With --embedded: secrets made for it, since nobody else gives any. */
  generatedSecrets: () => Promise<ReadonlyMap<string, string>>;
}
