import type { FailureOutcome } from '../app/errors.js';
import { plural } from '../app/plural.js';
import type { CheckLine } from '../output/result.js';
import { printable, type Style } from '../output/terminal.js';
import { wrap } from '../output/wrap.js';
import { toKasmDbError } from '../postgres/sqlstate.js';

/** What was looked at, a line each. */
export class Report {
  readonly lines: CheckLine[] = [];

  ok(name: string, text: string): void {
    this.lines.push({ name, state: 'ok', text });
  }

  warning(name: string, text: string, fix?: string): void {
    this.lines.push({ name, state: 'warning', text, ...(fix ? { fix } : {}) });
  }

  failed(name: string, code: FailureOutcome, text: string, fix: string): void {
    this.lines.push({ name, state: 'failed', text, fix, code });
  }

  fail(name: string, error: unknown): void {
    const { outcome, message, details } = toKasmDbError(error, name);
    const { detail, hint = outcome === 'internal' ? 'this is a bug in kasm-db; please report it' : '' } = details;
    this.failed(name, outcome, detail ? `${message}: ${detail}` : message, hint);
  }

  /** @returns undefined where the work fails, which is reported */
  async attempt<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.fail(name, error);
      return undefined;
    }
  }
}

/** Where a line's text begins, behind its mark and name. */
const TEXT_COLUMN = 19;

/** A line each, for people. */
export function reportText(lines: readonly CheckLine[], s: Style): string {
  const marks = { ok: s.green('ok     '), warning: s.yellow('warning'), failed: s.red('failed ') };
  return lines
    .flatMap(({ name, state, text, fix }) => [
      `${marks[state]} ${name.padEnd(10)} ${printable(text)}`,
      ...(fix && state !== 'ok' ? [`${' '.repeat(TEXT_COLUMN)}${s.bold('fix:')} ${printable(fix)}`] : []),
    ])
    .map((line) => wrap(line, s.width, TEXT_COLUMN))
    .join('\n');
}

/** The sum of all lines: does `migrate` work, and what comes next? Pure. */
export function conclusion(lines: readonly CheckLine[], { seed }: { seed: boolean }): string {
  const count = (state: CheckLine['state']) => lines.filter((line) => line.state === state).length;
  const warnings = count('warning');
  const failures = count('failed');
  const sum = [
    `${count('ok')} ok`,
    ...(warnings > 0 ? [plural(warnings, 'warning')] : []),
    ...(failures > 0 ? [`${failures} failed`] : []),
  ].join(', ');
  const first = lines.find(({ state }) => state === 'failed');
  if (!first) return `${sum}: migrate${seed ? ' --seed' : ''} will work. Next: kasm-db plan`;
  const onlySeed = lines.every(({ state, name }) => state !== 'failed' || SEED_LINES.includes(name));
  const what = onlySeed ? 'migrate will work, but migrate --seed will fail' : 'migrate will fail';
  return `${sum}: ${what}. Next: ${first.fix || first.text}`;
}

const SEED_LINES = ['secrets', 'seed'];
