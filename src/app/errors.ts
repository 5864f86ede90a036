/**
 * How a command can end, by name. The names and their exit codes are a public contract
 * (docs/TROUBLESHOOTING.md): charts decide from them whether a Job is retried.
 */
export const EXIT_CODES = {
  ok: 0,
  internal: 1,
  usage: 2,
  pending: 3,
  unreachable: 4,
  locked: 5,
  integrity: 6,
  failed: 7,
  seed: 8,
  environment: 9,
  interrupted: 143,
} as const;

export type Outcome = keyof typeof EXIT_CODES;
export type FailureOutcome = Exclude<Outcome, 'ok'>;

/** Where in a migration, and with which server error, something went wrong. */
export interface ErrorDetails {
  /** What to do next; one sentence or a command line. */
  hint?: string;
  /** SQLSTATE of the server's error, five characters. */
  sqlstate?: string;
  /** The server's DETAIL, where it tells no values of rows. */
  detail?: string;
  /** Of the server's CONTEXT the functions that ran. */
  context?: string;
  /** Name of the migration, without its ending. */
  migration?: string;
  /** File the error is in. */
  file?: string;
  /** 1-based line in `file`. */
  line?: number;
  /** The SQL statement that failed, cut to a readable length. */
  statement?: string;
  /** Exit code where the outcome alone doesn't decide it (130 for SIGINT). */
  exitCode?: number;
  cause?: unknown;
}

/** Every failure a user can meet: an outcome, a message that says what and where, and a hint. */
export class KasmDbError extends Error {
  readonly outcome: FailureOutcome;
  readonly exitCode: number;
  readonly details: Omit<ErrorDetails, 'cause' | 'exitCode'>;

  constructor(outcome: FailureOutcome, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'KasmDbError';
    this.outcome = outcome;
    const { cause: _cause, exitCode, ...rest } = details;
    this.exitCode = exitCode ?? EXIT_CODES[outcome];
    this.details = rest;
  }

  /** The same error with details added where they were missing. */
  with(details: ErrorDetails): KasmDbError {
    return new KasmDbError(this.outcome, this.message, {
      exitCode: this.exitCode,
      cause: this.cause,
      ...details,
      ...this.details,
    });
  }
}

/** The same failure in other words, with fields of the result that would else get lost. */
export class RetoldError extends KasmDbError {
  readonly fields: object;

  constructor(error: KasmDbError, message: string, fields: object, hint = error.details.hint) {
    const { exitCode, cause, details } = error;
    super(error.outcome, message, { ...details, ...(hint === undefined ? {} : { hint }), exitCode, cause });
    this.fields = fields;
  }
}

/** The caller has stopped the work. */
export function interrupted(cause: unknown): KasmDbError {
  return new KasmDbError('interrupted', 'interrupted; what was not committed is rolled back', {
    cause,
    hint: 'run it again',
  });
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map(messageOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}
