import { readFileSync } from 'node:fs';
import { join } from 'node:path';
// @ts-expect-error it has no types of its own
import semver from 'semver';
import { expect, it } from 'vitest';

const read = (file: string) => JSON.parse(readFileSync(join(import.meta.dirname, '../..', file), 'utf8'));

it('npm ci warns of no library on the oldest Node that package.json names', () => {
  const oldest = semver.minVersion(read('package.json').engines.node);
  const packages = Object.entries<{ version: string; engines?: { node?: string } }>(read('package-lock.json').packages);
  const newer = packages
    .filter(([path, { engines }]) => path !== '' && engines?.node && !semver.satisfies(oldest, engines.node))
    .map(([path, { version, engines }]) => `${path} ${version} needs Node ${engines?.node}`);
  expect(newer).toEqual([]);
  expect(packages.length).toBeGreaterThan(100);
});
