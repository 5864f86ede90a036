import { describeBlockers } from '../app/blocker.js';
import { EXIT_CODES, type KasmDbError, messageOf } from '../app/errors.js';
import type { RunEvents } from '../app/events.js';
import { describeHolder } from '../app/lock-holder.js';
import { plural } from '../app/plural.js';
import { now } from '../app/time.js';
import { formatMs } from '../app/when.js';
import { writeTerminationLog } from './output.js';
import type { Result } from './result.js';
import { saidWithoutSecrets } from './said.js';
import { stderr, stdout } from './streams.js';
import {
  Progress,
  printable,
  printableLines,
  type Style,
  safe,
  safeJson,
  style,
  wantsColor,
  widthOf,
} from './terminal.js';
import { wrap } from './wrap.js';

export interface Reporter {
  events: RunEvents;
  /** Prints a text on stdout, on a terminal in the place of all that stood there. */
  show(text: (s: Style) => string): void;
  /**
   * Prints the result: text or JSON on stdout, a failure's text on stderr.
   * @param verbatim the text is for a file or another program: no line of it is broken, on a terminal neither
   * @returns the exit code: a result that could not be written is a failure
   */
  finish(result: Result, text?: (s: Style) => string, verbatim?: boolean): number;
}

/** No more notices than a person would read; a RAISE storm must not fill the log. */
const MAX_NOTICES = 100;

/** A run that waits says so this often, in milliseconds. */
const WAIT_LOG_MS = 10_000;

/** Home, and clear all (ECMA-48). */
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

/** Why a migration is tried again; its message says that it failed, which it may not have in the end. */
const AGAIN: Readonly<Record<string, string>> = {
  '55P03': 'another session has a table that it needs',
  '40P01': 'it and another session waited for each other',
  '40001': 'another session changed what it had read',
};

function whyAgain({ message, details: { sqlstate = '' } }: KasmDbError): string {
  const why = AGAIN[sqlstate];
  return why ? `${why} (SQLSTATE ${sqlstate})` : printable(message);
}

/** Writes what a command tells: progress to stderr, the result to stdout. */
export function reporter(options: { json?: boolean; quiet?: boolean; verbose?: boolean; color?: boolean }): Reporter {
  const err = style(wantsColor(stderr, options.color !== false), widthOf(stderr));
  const progress = new Progress(stderr, err, options.quiet === true);
  let notices = 0;
  let target = 'the database';
  const waits = new Map<string, number>();
  /** A line of one kind, unless one was written a moment ago. */
  const seldom = (kind: string, text: () => string) => {
    if (now() - (waits.get(kind) ?? Number.NEGATIVE_INFINITY) < WAIT_LOG_MS) return;
    waits.set(kind, now());
    progress.log(text());
  };
  const events: RunEvents = {
    target: (text) => {
      target = printable(text);
      progress.log(err.dim(target));
    },
    started: (doing, total) => {
      if (!progress.live)
        progress.log(`${doing} ${plural(total, 'migration')} ${doing === 'applying' ? 'to' : 'of'} ${target}`);
    },
    progress: (text) => progress.log(text),
    retryConnect: (reason) => progress.log(`waiting for the database: ${printable(reason.message)}`),
    waitForLock: (holder) =>
      seldom('lock', () => `waiting for the migration lock: ${printable(describeHolder(holder))}`),
    waitForTable: (name, reason) => seldom('table', () => `${name} gives way and tries again: ${whyAgain(reason)}`),
    blocked: (name, blockers) =>
      seldom('blocked', () => `${name} waits for a lock: ${printable(describeBlockers(blockers))}`),
    migrationStarted: (name, i, total) => progress.busy(`${name} (${i + 1} of ${total})`),
    migrationDone: (name, ms) => progress.done(`${err.green('applied')} ${name} ${err.dim(formatMs(ms))}`),
    migrationUndone: (name, ms) => progress.done(`${err.green('rolled back')} ${name} ${err.dim(formatMs(ms))}`),
    statementDone: (name, done, total) => progress.busy(`${name}: statement ${done} of ${total} done`),
    waiting: (text) => progress.log(`waiting: ${printable(text)}`),
    warning: (text) => progress.log(`${err.yellow('warning:')} ${printable(text)}`),
    notice: (text, isWarning) => {
      const kind = isWarning ? `${err.yellow('warning:')} the server says` : 'notice';
      if ((isWarning || options.verbose) && ++notices <= MAX_NOTICES)
        progress.log(`${kind}: ${printable(text)}${notices === MAX_NOTICES ? ' (no more are shown)' : ''}`);
    },
  };
  const outStyle = (): Style => ({
    ...style(wantsColor(stdout, options.color !== false), widthOf(stdout)),
    listed: !progress.live && !options.quiet,
  });
  return {
    events,
    show(text) {
      progress.clear();
      const out = outStyle();
      stdout.write(
        `${stdout.isTTY ? CLEAR_SCREEN : ''}${wrap(safe(text(out), out), out.width)}\n${stdout.isTTY ? '' : '\n'}`,
      );
    },
    finish(outcome, text, verbatim = false) {
      const result = saidWithoutSecrets(outcome);
      progress.clear();
      const log = process.env.KASM_DB_TERMINATION_LOG;
      const warning = log ? writeTerminationLog(log, result) : undefined;
      if (warning) progress.log(`${err.yellow('warning:')} ${warning}`);
      if (options.json) stdout.write(`${safeJson(result)}\n`);
      else if (!result.error && text) {
        const out = outStyle();
        const whole = safe(text(out), out);
        if (whole !== '') stdout.write(`${verbatim ? whole : wrap(whole, out.width)}\n`);
      }
      if (result.error) stderr.write(`${safe(failureText(result, err, progress.live), err)}\n`);
      if (result.outcome === 'internal' && text) stderr.write(`${safe(text(err), err)}\n`);
      if (stdout.failure === undefined || result.exitCode !== EXIT_CODES.ok) return result.exitCode;
      stderr.write(
        `internal: the result could not be written to stdout (${messageOf(stdout.failure)}); the work is done\n`,
      );
      return EXIT_CODES.internal;
    },
  };
}

/** @param live what was applied before has left no line */
function failureText({ error, outcome, exitCode, applied = [] }: Result, s: Style, live: boolean): string {
  if (!error) return '';
  const before = applied.map(({ name, ms }) => `${s.green('applied')} ${printable(name)} ${s.dim(formatMs(ms))}`);
  const say = (text: string) => wrap(text, s.width);
  const lines = [...(live ? before : []), say(`${s.red(`${outcome}:`)} ${printable(error.message)}`)];
  const bar = `  ${s.dim('|')} `;
  if (error.statement) lines.push(bar + printableLines(error.statement).replaceAll('\n', `\n${bar}`));
  for (const [title, text] of Object.entries({ detail: error.detail, context: error.context, next: error.hint }))
    if (text) lines.push(say(`${s.bold(`${title}:`)} ${printable(text)}`));
  lines.push(s.dim(`exit code ${exitCode} (${outcome})`));
  return lines.join('\n');
}
