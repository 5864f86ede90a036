/** First argument of the process that keeps a program; no command of the command line. */
export const KEEPER = '__keep';

/** What the keeper tells, a line of JSON each. */
export type Report =
  | { told: 'started'; pid: number }
  /** It could not be started. @property code such as ENOENT */
  | { told: 'refused'; code: string; message: string }
  | { told: 'ended'; exitCode: number | null; signal: NodeJS.Signals | null }
  /** Nothing of it lives any more. @property left how many it had left behind */
  | { told: 'gone'; left: number };

/** What a program gets to end after SIGTERM, and what it has left behind to end by itself, in milliseconds. */
export const GRACE_MS = 10_000;
