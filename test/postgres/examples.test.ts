import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';

const ROOT = join(import.meta.dirname, '../..');
const examples = join(ROOT, 'examples');
const yaml = (path: string) => parse(readFileSync(join(examples, path), 'utf8'), { merge: true });

describe('examples', () => {
  it('compose: its services run one after the other', async () => {
    const db = await createDatabase();
    const { services, secrets } = yaml('compose/compose.yaml');
    const mounted = folder({ ...newSecrets(), 'db-password': db.password });
    expect(Object.keys(secrets).sort()).toEqual([...services.migrate.secrets].sort());
    for (const name of ['migrate', 'gate']) {
      const { command, environment } = services[name];
      const env = Object.entries<string>(environment).map(([key, value]) => [
        key,
        value.replace('/run/secrets', mounted),
      ]);
      const { POSTGRES_PASSWORD: _, ...here } = db.env;
      const run = await cli(command, { ...Object.fromEntries(env), ...here });
      expect(run.code, run.stderr).toBe(0);
    }
  });

  it('ci: each step of the workflow, with a migration more', async () => {
    const db = await createDatabase();
    const { env, steps } = yaml('ci/workflow.yaml').jobs.rehearse;
    const migrations = folder({});
    cpSync(join(ROOT, 'migrations'), migrations, { recursive: true });
    writeFileSync(join(migrations, '0020_mine.sql'), 'CREATE TABLE mine (id int PRIMARY KEY);\n');
    writeFileSync(join(migrations, '0020_mine.down.sql'), 'DROP TABLE mine;\n');
    const installed: string[] = [];
    const script = steps.flatMap(({ name, run }: { name?: string; run?: string }) => {
      if (name === 'install') installed.push(run as string);
      return run && name !== 'install' ? [run] : [];
    });
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(installed).toEqual([expect.stringMatching(`^npm install --global .*/kasm-db-${version}.tgz$`)]);
    const bin = folder({});
    writeFileSync(join(bin, 'kasm-db'), `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/dist/kasm-db.mjs' "$@"\n`, {
      mode: 0o755,
    });
    const { stderr, status } = spawnSync('sh', ['-ec', script.join('\n')], {
      encoding: 'utf8',
      env: { ...env, ...db.env, PATH: `${bin}:${process.env.PATH}`, KASM_DB_MIGRATIONS: migrations },
    });
    expect(status, stderr).toBe(0);
    expect(stderr.match(/applied 0020_mine/g)).toHaveLength(2);
    expect(stderr).toContain('rolled back 0020_mine');
  });

  it('library: the program migrates', async () => {
    const db = await createDatabase();
    const { stdout, stderr, status } = spawnSync(process.execPath, [join(examples, 'library/migrate.mjs')], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...db.env },
    });
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^\d+ applied, now at \d{4}_\w+; check says ok\n$/);
  });
});
