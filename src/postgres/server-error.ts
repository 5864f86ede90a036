import { excerpt } from './statements.js';

/** The fields of a server's error that we read; message texts are in the server's language and decide nothing. */
export interface ServerError extends Error {
  code: string;
  severity: string;
  detail?: string;
  hint?: string;
  position?: string;
  where?: string;
  table?: string;
  column?: string;
  constraint?: string;
  /** The function of the server's source that reports it, in no language; a pooler's own errors have none. */
  routine?: string;
}

/** Did the server itself say it, with severity and SQLSTATE? */
export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'severity' in error && /^[0-9A-Z]{5}$/.test((error as ServerError).code ?? '');
}

/** The class of warnings, whatever their severity is called in the server's language; of 25P01 (no transaction to roll back) nobody needs to know. */
export function isWarning({
  code = '',
  severity,
}: {
  code?: string | undefined;
  severity?: string | undefined;
}): boolean {
  return code.startsWith('01') || (severity === 'WARNING' && code !== '25P01');
}

/** Data, constraints, views' checks (manual, appendix A): their DETAIL repeats values of rows, passwords among them. */
const TELLS_VALUES = /^(22|23|44)/;
/** In whichever language: what stands in quotes may be a statement with its values, or a row. */
const QUOTED = /["'`$«»„“”‚‘’‹›「」]/;

/** What of a server's error is shown beside its message. DETAIL where it tells no values; of CONTEXT the calls, which say whose code ran. */
export function shownOf(error: unknown): { sqlstate?: string; detail?: string; context?: string } {
  if (!isServerError(error)) return {};
  const { code, detail, where } = error;
  const calls = where?.split('\n').filter((line) => line.includes('PL/pgSQL') && !QUOTED.test(line));
  return {
    sqlstate: code,
    ...(detail && !TELLS_VALUES.test(code) ? { detail: oneLine(detail) } : {}),
    ...(calls?.length ? { context: oneLine(calls.join('; ')) } : {}),
  };
}

/** The next step, and the server's HINT behind it. */
export function withServerHint(own: string | undefined, { hint }: Pick<ServerError, 'hint'>): string | undefined {
  if (!hint) return own;
  const said = oneLine(hint);
  return own ? `${own}; PostgreSQL says: ${said}` : said;
}

const oneLine = (text: string) => excerpt(text.replace(/\s+/g, ' '));
