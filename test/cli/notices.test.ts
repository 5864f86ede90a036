import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript, shared with the build
import { bundle } from '../../scripts/bundle.mjs';
// @ts-expect-error plain JavaScript, shared with the build
import { packagesOf } from '../../scripts/notices.mjs';
// @ts-expect-error plain JavaScript, shared with the release
import { envelope, provenance, signFiles } from '../../scripts/release/sign.mjs';

import { COMMAND } from '../support/cli.js';

const ROOT = join(import.meta.dirname, '../..');
const scratch = () => mkdtempSync(join(tmpdir(), 'kasm-db-notices-'));

describe('THIRD-PARTY-NOTICES', () => {
  it('has the licence of each package that the bundler put into the bundles, and of what is compiled in them', async () => {
    const out = scratch();
    const metafile = await bundle(out, { 'kasm-db': 'src/main.ts', index: 'src/index.ts' });
    const text = readFileSync(join(out, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    const listed = [...text.matchAll(/^- (\S+) \(/gm)].map(([, name]) => name);
    const packages = packagesOf(metafile).map(({ name }: { name: string }) => name);
    expect(packages).toEqual(expect.arrayContaining(['pg', 'umzug', 'yaml', 'zod', 'libpg-query']));
    expect(listed.toSorted()).toEqual([...packages, 'graphviz', 'expat', 'libpg_query', 'PostgreSQL'].toSorted());
    // By the bundler's own words: every file in node_modules is of a package that is listed.
    for (const input of Object.keys(metafile.inputs).filter((path) => path.includes('node_modules/')))
      expect(
        listed.some((name) => input.includes(`node_modules/${name}/`)),
        input,
      ).toBe(true);
    for (const part of text.split(/^={80}$/m).filter((_, i) => i > 0 && i % 2 === 0))
      expect(part.trim().length).toBeGreaterThan(300);
    expect(readFileSync(join(ROOT, 'dist/THIRD-PARTY-NOTICES.txt'), 'utf8')).toBe(text);
  });

  it('are in the program itself: kasm-db licenses', () => {
    const [program, ...before] = COMMAND as [string, ...string[]];
    const print = (...args: string[]) =>
      execFileSync(program, [...before, 'licenses', ...args], { encoding: 'utf8', env: { PATH: process.env.PATH } });
    const folder = process.env.KASM_DB_EXECUTABLE ? dirname(realpathSync(program)) : join(ROOT, 'dist');
    const text = readFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    expect(print().trimEnd()).toBe(text.trimEnd());
    expect(JSON.parse(print('--json')).page).toBe(text);
    expect(text).toContain(readFileSync(join(ROOT, 'LICENSE'), 'utf8').trim());
    expect(/^- bun \(Bun \d/m.test(text)).toBe(Boolean(process.env.KASM_DB_EXECUTABLE));
  });

  it('of the executables: Bun, and how to relink JavaScriptCore', () => {
    const file = join(ROOT, 'dist-exe/THIRD-PARTY-NOTICES.txt');
    if (!existsSync(file)) return console.warn('SKIPPED: there is no dist-exe (npm run build:exe)');
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/^- bun \(Bun \d/m);
    expect(text).toMatch(/GNU LIBRARY GENERAL PUBLIC LICENSE/);
    expect(text).toContain('relink');
  });
});

describe('signatures of a release', () => {
  it('OpenSSL verifies what cosign would', () => {
    const out = scratch();
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    writeFileSync(join(out, 'key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(join(out, 'pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(join(out, 'file'), 'a release');
    signFiles(out, ['file'], join(out, 'key'));
    writeFileSync(join(out, 'sig'), Buffer.from(readFileSync(join(out, 'file.sig'), 'utf8'), 'base64'));
    const args = ['dgst', '-sha256', '-verify', 'pub', '-signature', 'sig', 'file'];
    expect(execFileSync('openssl', args, { cwd: out, encoding: 'utf8' })).toMatch(/Verified OK/);
    writeFileSync(join(out, 'file'), 'another one');
    expect(() => execFileSync('openssl', args, { cwd: out, stdio: 'ignore' })).toThrow();
  });

  it('provenance: an in-toto statement with the digest of each file, in an envelope', () => {
    const out = scratch();
    writeFileSync(join(out, 'file'), 'a release');
    const from = { version: '1.2.3', commit: 'c'.repeat(40), repository: 'https://example.test/kasm-db', parts: [] };
    const { payload, payloadType, signatures } = envelope(provenance(out, ['file'], from), undefined);
    expect([payloadType, signatures]).toEqual(['application/vnd.in-toto+json', []]);
    expect(JSON.parse(Buffer.from(payload, 'base64').toString())).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'file', digest: { sha256: createHash('sha256').update('a release').digest('hex') } }],
      predicateType: 'https://slsa.dev/provenance/v1',
    });
  });

  it('a key that cosign does not take is refused', () => {
    const out = scratch();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(join(out, 'key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(() => signFiles(out, [], join(out, 'key'))).toThrow(/the key is rsa/);
  });
});
