import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript, shared with the release script
import { size } from '../../scripts/release/artifacts.mjs';
// @ts-expect-error plain JavaScript, shared with the release script
import { checkVersion, compare, FILES } from '../../scripts/release/version.mjs';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

describe('release › its version', () => {
  it('order of semver.org, section 11', () => {
    const order = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
    ].concat(['1.0.0', '1.0.1', '1.2.0', '1.10.0', '2.0.0']);
    fc.assert(
      fc.property(fc.nat(order.length - 1), fc.nat(order.length - 1), (a, b) => {
        expect(Math.sign(compare(order[a], order[b]))).toBe(Math.sign(a - b));
      }),
    );
  });

  const state = { current: '0.2.0', tags: ['v0.1.0', 'v0.1.1', 'nightly', 'v-old'] };
  it.each(['0.2.0', '0.2.1', '1.0.0-rc.1', '1.0.0'])('%s is accepted', (version) => {
    expect(() => checkVersion(version, state)).not.toThrow();
  });

  it.each([
    ['v1.0.0', /write it as 1\.2\.3/],
    ['1.0', /write it as 1\.2\.3/],
    ['0.1.1', /not newer than 0\.1\.1/],
    ['0.1.5', /older than 0\.2\.0, which package\.json has/],
    ['0.2.0-rc.1', /older than 0\.2\.0/],
  ])('%s is refused', (version, message) => {
    expect(() => checkVersion(version, state)).toThrow(message);
  });
});

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [43_210, '43.2 kB'],
  [999_949, '999.9 kB'],
  [999_950, '1.0 MB'],
  [101_234_567, '101.2 MB'],
])('release › the size of a file: %i bytes are %s', (bytes, text) => {
  expect(size(bytes)).toBe(text);
});

describe('release › the files that name the version', () => {
  it.each(Object.keys(FILES))('%s: the version and nothing else changes', (file) => {
    const before = read(file);
    const { version } = JSON.parse(read('package.json'));
    const after = FILES[file](before, '98.7.6', '2031-02-03', version) as string;
    const [old, lines] = [before.split('\n'), after.split('\n')];
    const changed = lines.filter((line, i) => line !== old[i]);
    expect(lines).toHaveLength(old.length);
    const wanted: Record<string, number> = { 'package-lock.json': 2, 'CHANGELOG.md': 1 };
    expect(changed).toHaveLength(wanted[file] ?? old.filter((line) => line.includes(version)).length);
    for (const line of changed) expect(line).toContain('98.7.6');
  });

  it('no other file that people copy from names it', () => {
    const { version } = JSON.parse(read('package.json'));
    const files = ['docs', 'examples', 'chart', 'scripts', '.ci'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
        .filter((entry) => entry.isFile() && !/node_modules|kasm-single-zone.charts/.test(entry.parentPath))
        .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
    );
    const others = files.filter((file) => !(file in FILES) && !/BENCHMARKS\.md$|\.(png|svg)$|-lock\.json$/.test(file));
    expect(others.filter((file) => read(file).includes(version))).toEqual([]);
    expect(others.length).toBeGreaterThan(50);
  });

  it("kasm-single-zone keeps Kasm's release as its appVersion", () => {
    const file = 'chart/kasm-single-zone/Chart.yaml';
    const [appVersion] = /^appVersion: .*$/m.exec(read(file)) as RegExpExecArray;
    expect(FILES[file](read(file), '98.7.6')).toContain(appVersion);
  });

  it('a changelog without news is refused', () => {
    const change = FILES['CHANGELOG.md'];
    expect(() => change('# Changelog\n\n## 1.0.0 (2030-01-01)\n\n- x\n', '1.1.0', '')).toThrow(/write what changed/);
    expect(() => change('## 1.1.0 (unreleased)\n\n## 1.0.0 (2030-01-01)\n\n- x\n', '1.1.0', '')).toThrow(/is empty/);
    expect(change('## 1.1.0 (unreleased)\n\n- y\n', '1.1.0', '2031-02-03')).toBe('## 1.1.0 (2031-02-03)\n\n- y\n');
  });
});
