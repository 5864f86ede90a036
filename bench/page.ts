import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { SERVERS } from '../test/support/server.js';
import type { Bench, Findings, Show, Timing } from './bench.js';
import { keptOf } from './kept.js';
import { PEERS } from './peers/index.js';
import { comparison, writeReadme } from './readme.js';
import { ratio } from './shows.js';
import { RESULTS, stored } from './store.js';
import { median, psql, ROOT } from './support.js';

/** A bench's table for the terminal. */
export function summary(bench: Bench, findings: Findings): string {
  return [...tables(findings), ...showLines(bench.shows?.(findings) ?? [])].join('\n');
}

/** The limits of all benches with what is stored of today, for the terminal. */
export function limits(benches: Bench[]): string {
  const shows = benches.flatMap((bench) => bench.shows?.(stored(bench.name)?.findings ?? {}) ?? []);
  const missing = benches.filter((bench) => bench.shows && !stored(bench.name)).map(({ name }) => name);
  return [
    `Limits: ${count(shows, true)} met, ${count(shows, false)} missed, ${count(shows, undefined)} not measured${missing.length > 0 ? ` (${missing.join(', ')})` : ''}.`,
    '',
    ...showLines(shows),
  ].join('\n');
}

const count = (shows: Show[], as: boolean | undefined) => shows.filter(({ met }) => met === as).length;

/**
 * Writes the page from everything that is stored. One that is published keeps what it says of benches that were not measured today, with their day.
 * @param publish docs/BENCHMARKS.md and README's line; else bench/results/BENCHMARKS.md
 * @returns the page's path
 */
export function writePage(benches: Bench[], publish: boolean): string {
  const path = publish ? join(ROOT, 'docs/BENCHMARKS.md') : join(RESULTS, 'BENCHMARKS.md');
  const kept = keptOf(publish && existsSync(path) ? readFileSync(path, 'utf8') : '');
  const sections = benches.flatMap((bench) => section(bench) ?? kept.section(bench.title) ?? []);
  const missing = benches.filter((bench) => !stored(bench.name) && !kept.section(bench.title)).map(({ name }) => name);
  const shows = benches.flatMap((bench) => bench.shows?.(stored(bench.name)?.findings ?? {}) ?? []);
  const measured = shows.filter(({ met }) => met !== undefined);
  const others = shows.filter(({ met }) => met === undefined).map(({ text }) => text);
  const limits = [...measured.map(showLine), ...kept.limits(others)];
  const lines = [
    '# Benchmarks',
    '',
    'Made by `npm run bench -- --publish`; do not edit by hand.',
    '',
    `Measured on ${new Date().toISOString().slice(0, 10)}, or on the day that a section names, on one machine of ${cpus().length} cores (${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux). Other programs ran on it, so the ratios say more than the milliseconds.`,
    'The tools take turns (A B C A B C …), so that a machine whose speed changes is the same to all of them. A time is that of a whole process, from its cold start to its end, with a PostgreSQL 16 on the same machine (loopback, SCRAM login, no TLS, data in memory, fsync off). "× floor" is how many times as long as the floor a tool took: the median of the ratios of each round. The spread is the shortest and the longest time.',
    '',
    `Versions: ${[...versions(), ...kept.versions(versions().map((version) => version.split(' ')[0] as string))].join(', ')}.`,
    '',
    '## Limits',
    '',
    `${limits.filter((line) => line.endsWith('| met |')).length} of ${limits.length} limits are met. One that could only be met by a second way of doing something is missed.`,
    '',
    ...(limits.length > 0 ? ['| | figure | limit | |', '|---|---|---|---|', ...limits] : []),
    '',
    ...(missing.length > 0 ? [`Not measured: ${missing.join(', ')}.`, ''] : []),
    ...sections.flatMap((text) => [text, '']),
    '## Repeat all of it',
    '',
    '```sh',
    'bench/peers/install.sh              # installs the other tools whose toolchain is there; takes minutes',
    'npm run build:exe                   # builds the executable',
    'npm run bench                       # runs all; --list names the benches, --peers NAME,... and --runs N shorten it',
    '```',
    '',
    'A run writes its results and a page like this one to `bench/results/`, which git ignores. `npm run bench -- --publish` writes this page and a line of README; sections that were not measured that day stay as they are.',
    '',
  ];
  mkdirSync(RESULTS, { recursive: true });
  const text = lines.join('\n');
  writeFileSync(path, text.replace('## Limits\n', `## In short\n\n${comparison(text)}\n\n## Limits\n`));
  if (publish) writeReadme(ROOT);
  return path;
}

/** @returns undefined where it was not measured today */
function section(bench: Bench): string | undefined {
  const of = stored(bench.name);
  if (!of) return undefined;
  const { findings, commits, note, date } = of;
  return [
    `## ${bench.title}`,
    '',
    bench.about,
    '',
    ...tables(findings),
    '',
    ...(note ? [note, ''] : []),
    ...(findings.absent?.length ? [`Not measured: ${findings.absent.join('; ')}.`, ''] : []),
    `Repeat it: \`npm run bench -- --only ${bench.name}\` (measured at ${commits.join(', ')} on ${date.slice(0, 10)}).`,
  ].join('\n');
}

function showLines(shows: Show[]): string[] {
  if (shows.length === 0) return [];
  return ['| | figure | limit | |', '|---|---|---|---|', ...shows.map(showLine)];
}

function showLine({ text, figure, limit, met }: Show): string {
  return `| ${text} | ${figure} | ${limit} | ${met === undefined ? 'not measured' : met ? 'met' : '**missed**'} |`;
}

function tables({ timings = [], outcome }: Findings): string[] {
  const lines: string[] = [];
  if (timings.length > 0) {
    lines.push('| | kind | median | spread | × floor | rounds |', '|---|---|---:|---:|---:|---:|');
    for (const timing of [...timings].sort((a, b) => median(a.samples) - median(b.samples)))
      lines.push(timingLine(timing));
  }
  if (outcome) {
    if (lines.length > 0) lines.push('');
    lines.push(`| ${outcome.head.join(' | ')} |`, `|${outcome.head.map(() => '---').join('|')}|`);
    for (const row of outcome.rows) lines.push(`| ${row.join(' | ')} |`);
  }
  return lines;
}

function timingLine(timing: Timing): string {
  const { name, family, samples } = timing;
  const own = family === 'kasm-db' ? `**${name}**` : name;
  return `| ${own} | ${family} | ${ms(median(samples))} | ${ms(Math.min(...samples))} to ${ms(Math.max(...samples))} | ${ratio(timing).toFixed(2)} | ${samples.length} |`;
}

function ms(value: number): string {
  return value < 1000 ? `${value.toFixed(1)} ms` : `${(value / 1000).toFixed(2)} s`;
}

function versions(): string[] {
  const path = psql();
  const floor = path
    ? [
        execFileSync(path, ['--version'], { encoding: 'utf8' })
          .trim()
          .replace(/ \(.*\) /, ' '),
      ]
    : [];
  const peers = PEERS.filter(({ installed }) => installed).map(({ name, version }) => `${name} ${version}`);
  return [`PostgreSQL ${SERVERS[16].split('-')[0]}`, `Node ${process.version.slice(1)}`, ...floor, ...peers];
}
