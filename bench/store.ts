import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Findings } from './bench.js';
import { ROOT } from './support.js';

export interface Stored {
  /** What was measured at; more than one where rows were put over older ones. */
  commits: string[];
  /** ISO, of the last run. */
  date: string;
  findings: Findings;
  /** What a reader of the figures has to know. */
  note?: string;
}

/** Beside the code, in no repository: a run changes no page that others read, unless it is to be published. */
export const RESULTS = join(ROOT, 'bench/results');
const fileOf = (bench: string) => join(RESULTS, `${bench}.json`);
const today = () => new Date().toISOString();

/** @returns what was found today; a figure of another day was measured on something else */
export function stored(bench: string): Stored | undefined {
  const path = fileOf(bench);
  if (!existsSync(path)) return undefined;
  const found = JSON.parse(readFileSync(path, 'utf8')) as Stored;
  return found.date.slice(0, 10) === today().slice(0, 10) ? found : undefined;
}

/** @param whole not only some of the peers: nothing older is left */
export function store(bench: string, found: Findings, whole: boolean, note?: string): void {
  const old = whole ? undefined : stored(bench);
  const commits = [...new Set([...(old?.commits ?? []), commit()])];
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(
    fileOf(bench),
    JSON.stringify({
      ...{ commits, date: today(), findings: merged(old?.findings, found) },
      ...(note ? { note } : {}),
    } satisfies Stored),
  );
}

/** Puts new rows over the old ones of the same name. */
export function merged(old: Findings | undefined, found: Findings): Findings {
  if (!old) return found;
  const timings = byName(old.timings, found.timings, ({ name }) => name);
  const rows = byName(old.outcome?.rows, found.outcome?.rows, ([name]) => name as string);
  const head = found.outcome?.head ?? old.outcome?.head;
  const measured = new Set([...(found.timings ?? []).map(({ name }) => name), ...rows.map(([name]) => name)]);
  return {
    ...(timings.length > 0 ? { timings } : {}),
    ...(head ? { outcome: { head, rows } } : {}),
    absent: byName(old.absent, found.absent, (text) => text.split(' ')[0] as string).filter(
      (text) => ![...measured].some((name) => `${name} `.startsWith(`${text.split(' (')[0]} `)),
    ),
  };
}

function byName<T>(old: T[] = [], found: T[] = [], name: (item: T) => string): T[] {
  const all = new Map(old.map((item) => [name(item), item]));
  for (const item of found) all.set(name(item), item);
  return [...all.values()];
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();
  } catch {
    return 'no git';
  }
}
