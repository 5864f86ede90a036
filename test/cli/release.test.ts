import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript, shared with the release script
import { FILES } from '../../scripts/release/version.mjs';
import { bases, docker, whyNot } from '../containers/docker.js';
import { scratchFolder } from '../support/package.js';

const ROOT = join(import.meta.dirname, '../..');
const VERSION = '98.7.6';
const git = (cwd: string, ...args: string[]) => execFileSync('git', args, { cwd, encoding: 'utf8' }).trim();
const isRepository = spawnSync('git', ['rev-parse', '--git-dir'], { cwd: ROOT }).status === 0;
if (!isRepository) console.warn('this is no git repository: the release script is not tested');
const hasHelm = spawnSync('helm', ['version']).status === 0;
const stress = process.env.KASM_DB_STRESS !== undefined;

/** A clone with what is not committed yet, and a remote that nobody may push to. */
function clone(): string {
  const folder = join(scratchFolder(), 'clone');
  git(ROOT, 'clone', '--quiet', ROOT, folder);
  for (const file of git(ROOT, 'ls-files', '-mo', '--exclude-standard').split('\n').filter(Boolean))
    if (existsSync(join(ROOT, file))) cpSync(join(ROOT, file), join(folder, file));
    else rmSync(join(folder, file), { force: true });
  git(folder, 'config', 'user.name', 'A Tester');
  git(folder, 'config', 'user.email', 'tester@example.com');
  git(folder, 'switch', '--quiet', '-C', 'main');
  git(folder, 'add', '-A');
  git(folder, 'commit', '--quiet', '--allow-empty', '--message', 'As it is');
  git(folder, 'tag', '--annotate', 'v0.0.1', '--message', 'an older one');
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  appendFileSync(join(folder, '.git/info/exclude'), 'node_modules\n');
  for (const name of readdirSync(join(ROOT, 'scripts/exe')).filter((name) => name.startsWith('bun-')))
    cpSync(join(ROOT, 'scripts/exe', name), join(folder, 'scripts/exe', name), { recursive: true });
  return folder;
}

const release = (cwd: string, args: string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, ['scripts/release.mjs', ...args], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
const CHEAP = ['--without', 'executables,image,charts'];
/** Everything that a release may change. */
const stateOf = (folder: string) => [
  git(folder, 'rev-parse', 'HEAD'),
  git(folder, 'status', '--porcelain', '--branch'),
  git(folder, 'tag', '--list'),
  git(folder, 'worktree', 'list').split('\n').length,
];

describe.skipIf(!isRepository)('npm run release', () => {
  let folder: string;
  beforeAll(() => {
    folder = clone();
  });

  it.each<[string, (folder: string) => void, string[], RegExp, (() => Record<string, string>)?]>([
    ['no version', () => {}, [], /usage: npm run release/],
    ['a version that is out', () => {}, ['0.0.1'], /not newer than 0\.0\.1/],
    ['an unknown part', () => {}, [VERSION, '--without', 'charms'], /there are executables, image, charts/],
    ['a changed tree', (folder) => appendFileSync(join(folder, 'README.md'), '\n'), [VERSION], /commit them first/],
    [
      'a changelog without news',
      (folder) => {
        const path = join(folder, 'CHANGELOG.md');
        writeFileSync(path, readFileSync(path, 'utf8').replace('(unreleased)', '(2030-01-01)'));
        git(folder, 'commit', '--quiet', '--all', '--message', 'No news');
      },
      [VERSION, ...CHEAP],
      /CHANGELOG\.md has no section "\(unreleased\)"/,
    ],
    [
      'no helm',
      () => {},
      [VERSION, '--without', 'executables,image'],
      /helm is not on the PATH.*--without charts/,
      () => ({ PATH: withoutHelm() }),
    ],
    [
      'no Docker engine',
      () => {},
      [VERSION, '--without', 'charts'],
      /no Docker engine answers.*--without image/,
      () => ({ DOCKER_HOST: 'unix:///nowhere/docker.sock' }),
    ],
    [
      'a base of the image that cannot be had',
      () => {},
      [VERSION, '--without', 'charts'],
      /registry\.invalid\/base:1 cannot be pulled: set BUILD_BASE.*--without image/,
      () => ({ PATH: withFakeDocker(), BUILD_BASE: 'registry.invalid/base:1' }),
    ],
    [
      'no identity',
      (folder) => git(folder, 'config', '--unset', 'user.email'),
      [VERSION, ...CHEAP],
      /git config user\.name NAME && git config user\.email/,
      () => ({
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'user.useConfigOnly',
        GIT_CONFIG_VALUE_0: 'true',
      }),
    ],
    [
      'a key that is none',
      () => {},
      [VERSION, ...CHEAP, '--key', 'README.md'],
      /README\.md cannot be read as a private key/,
    ],
  ])('%s is refused, and changes nothing', (_, prepare, args, message, env = () => ({})) => {
    const start = git(folder, 'rev-parse', 'HEAD');
    prepare(folder);
    const before = stateOf(folder);
    const run = release(folder, args, env());
    expect(run.stderr).toMatch(message);
    expect(run.status).toBe(1);
    expect(stateOf(folder)).toEqual(before);
    expect(existsSync(join(folder, 'dist-release', VERSION))).toBe(false);
    git(folder, 'reset', '--quiet', '--hard', start);
    git(folder, 'config', 'user.email', 'tester@example.com');
  });

  it('--dry-run builds, and leaves the tree as it was', () => {
    const before = stateOf(folder);
    const out = join(scratchFolder(), 'out');
    const run = release(folder, [VERSION, ...CHEAP, '--dry-run', '--out', out]);
    expect(run).toMatchObject({ status: 0, stdout: expect.stringContaining('nothing was committed or tagged') });
    expect(stateOf(folder)).toEqual(before);
    expect(readdirSync(out).sort()).toEqual(['SHA256SUMS', 'npm', 'provenance.intoto.jsonl', 'sbom.cdx.json']);
  });

  it('what fails on the way changes nothing, and keeps what was built', () => {
    const before = stateOf(folder);
    const out = join(scratchFolder(), 'out');
    const run = release(folder, [VERSION, '--without', 'executables,image', '--out', out], { PATH: withBrokenHelm() });
    expect(run).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`what was built until then is kept in ${out}`),
    });
    expect(stateOf(folder)).toEqual(before);
    expect(readdirSync(join(out, 'npm'))).toEqual([`kasm-db-${VERSION}.tgz`]);
    expect(release(folder, [VERSION, ...CHEAP, '--out', out]).stderr).toContain('is not empty: remove it');
  });

  it('commits, tags and builds; pushes nothing', () => {
    const start = git(folder, 'rev-parse', 'HEAD');
    const out = join(scratchFolder(), 'out');
    const noImage = stress ? whyNot() : 'not asked for';
    if (stress && noImage) console.warn(`the image of a release is not tested: ${noImage}`);
    const without = [...(hasHelm ? [] : ['charts']), ...(noImage ? ['image'] : [])];
    const parts = stress ? ['--without', without.join(',')] : CHEAP;
    const run = release(folder, [VERSION, ...parts, '--out', out], noImage ? {} : bases());
    expect(run.stderr).toBe('');
    expect(run.status).toBe(0);

    expect(git(folder, 'rev-parse', `v${VERSION}^{commit}`)).toBe(git(folder, 'rev-parse', 'HEAD'));
    expect(git(folder, 'rev-parse', 'HEAD^')).toBe(start);
    expect(git(folder, 'log', '-1', '--format=%s')).toBe(`Release ${VERSION}`);
    expect(git(folder, 'status', '--porcelain')).toBe('');
    expect(git(folder, 'worktree', 'list').split('\n')).toHaveLength(1);
    // Not compared with what it was: others may have pushed theirs.
    const remote = git(folder, 'ls-remote', 'origin');
    for (const pushed of [`v${VERSION}`, git(folder, 'rev-parse', 'HEAD')]) expect(remote).not.toContain(pushed);
    expect(git(folder, 'diff', '--name-only', 'HEAD^').split('\n').sort()).toEqual(Object.keys(FILES).sort());
    expect(readFileSync(join(folder, 'CHANGELOG.md'), 'utf8')).toMatch(/^## 98\.7\.6 \(20\d\d-\d\d-\d\d\)$/m);

    expect(execFileSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: out, encoding: 'utf8' })).not.toMatch(/FAILED/);
    const unpacked = scratchFolder();
    execFileSync('tar', ['xzf', join(out, `npm/kasm-db-${VERSION}.tgz`), '-C', unpacked]);
    const program = join(unpacked, 'package/dist/kasm-db.mjs');
    expect(execFileSync(process.execPath, [program, '--version'], { encoding: 'utf8' })).toBe(`${VERSION}\n`);
    expect(existsSync(join(unpacked, 'package/dist/types/index.d.ts'))).toBe(true);

    const bom = JSON.parse(readFileSync(join(out, 'sbom.cdx.json'), 'utf8'));
    expect(bom).toMatchObject({
      bomFormat: 'CycloneDX',
      metadata: { component: { name: 'kasm-db', version: VERSION } },
    });
    const names = bom.components.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['pg', 'pg-protocol', 'umzug', 'commander', 'zod', 'yaml', 'ioredis', 'libpg-query']),
    );
    for (const name of ['@biomejs/biome', 'vitest', 'esbuild', 'typescript', 'fast-check'])
      expect(names).not.toContain(name);
    expect(names).toEqual(expect.arrayContaining(['graphviz', 'expat', 'libpg_query', 'PostgreSQL']));
    for (const name of ['bun', 'javascriptcore']) expect(names.includes(name)).toBe(stress);
    for (const { name, version, purl, hashes, licenses } of bom.components) {
      expect(licenses, name).not.toHaveLength(0);
      if (!purl.startsWith('pkg:npm/')) continue;
      expect(purl, name).toContain(version);
      expect(hashes, name).toHaveLength(1);
    }
    expect(readFileSync(join(unpacked, 'package/dist/THIRD-PARTY-NOTICES.txt'), 'utf8')).toContain(
      'Eclipse Public License',
    );

    if (!stress) return;
    for (const cpu of ['x64', 'arm64']) expect(existsSync(join(out, `bin/kasm-db-${VERSION}-linux-${cpu}`))).toBe(true);
    const executable = join(out, `bin/kasm-db-${VERSION}-linux-${process.arch}`);
    expect(execFileSync(executable, ['--version'], { encoding: 'utf8' })).toBe(`${VERSION}\n`);
    if (!noImage) {
      const tag = `kasm-db:${VERSION}`;
      docker('image', 'rm', tag);
      expect(docker('load', '--input', join(out, `image/kasm-db-${VERSION}-linux-${process.arch}.tar`))).toContain(tag);
      expect(docker('image', 'inspect', '--format', '{{json .Config.Labels}}', tag)).toContain(`"${VERSION}"`);
      expect(docker('run', '--rm', '--network', 'none', tag, '--version')).toBe(VERSION);
      docker('image', 'rm', tag);
    }
    if (!hasHelm) return console.warn('helm is not installed: the chart packages are not tested');
    expect(readFileSync(join(out, 'charts/images.txt'), 'utf8')).toMatch(
      new RegExp(`^docker.io/kasmweb/api:.*\nkasm-db:${VERSION}\n$`, 's'),
    );
    const chart = execFileSync('helm', ['show', 'chart', join(out, `charts/kasm-single-zone-${VERSION}.tgz`)], {
      encoding: 'utf8',
    });
    expect(chart).toMatch(/^appVersion: 1\.19\.0$/m);
    const inside = execFileSync('tar', ['tzf', join(out, `charts/kasm-single-zone-${VERSION}.tgz`)], {
      encoding: 'utf8',
    });
    expect(inside).toMatch(/^kasm-single-zone\/charts\/kasm-db\/Chart\.yaml$/m);
  }, 600_000);
});

/** The PATH with a program before it. */
const withProgram = (name: string, script: string) => {
  const bin = scratchFolder();
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return `${bin}:${process.env.PATH}`;
};
/** A helm that answers, and packages nothing. */
const withBrokenHelm = () => withProgram('helm', '[ "$1" = version ]');
/** An engine that answers, and has no image. */
const withFakeDocker = () => withProgram('docker', '[ "$1" = version ]');

/** The PATH, without the folders in which there is a helm. */
function withoutHelm(): string {
  return (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => !existsSync(join(folder, 'helm')))
    .join(':');
}
