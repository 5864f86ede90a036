import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { fences } from '../support/markdown.js';
import { type RunningServer, startTestServer } from '../support/server.js';
import type { Profile } from './profile.js';
import { aiven } from './profiles/aiven.js';
import { azure } from './profiles/azure.js';
import { cloudSql } from './profiles/cloud-sql.js';
import { cloudNativePg } from './profiles/cloudnative-pg.js';
import { crunchy } from './profiles/crunchy.js';
import { hardened } from './profiles/hardened.js';
import { neon } from './profiles/neon.js';
import { rds } from './profiles/rds.js';
import { supabase } from './profiles/supabase.js';
import { zalando } from './profiles/zalando.js';

const PROFILES = [rds, cloudSql, azure, supabase, neon, cloudNativePg, crunchy, zalando, aiven, hardened];
const PASSWORD = `${SECRET_MARK}of-every-login`;
const BLOCKS = fences('docs/EXTERNAL-DATABASE.md').filter(({ mark }) => mark.startsWith('host: '));

/** Of what a page exports: the rest is where the database is, and files. */
const TAKEN = /^(POSTGRES_DB|POSTGRES_USER|DATABASE_MASTER_USER|KASM_DB_ROLE)=(.*)$/;

/** A line of a page: `[NAME=value …] kasm-db …`. */
interface Command {
  args: string[];
  env: Record<string, string>;
}

/** The commands of a page's block, with what was exported before each of them. */
function commandsOf(text: string): Command[] {
  const exported: Record<string, string> = {};
  const commands: Command[] = [];
  for (const line of text.replace(/\\\n\s*/g, ' ').split('\n')) {
    const words = line
      .replace(/\s#.*$/, '')
      .split(/\s+/)
      .filter(Boolean);
    const at = words.indexOf('kasm-db');
    const assigned = words.slice(0, at < 0 ? words.length : at).flatMap((word) => {
      const [, name, value] = TAKEN.exec(word) ?? [];
      return name && value ? [[name, value] as const] : [];
    });
    if (at < 0) Object.assign(exported, Object.fromEntries(assigned));
    else commands.push({ args: words.slice(at + 1), env: { ...exported, ...Object.fromEntries(assigned) } });
  }
  return commands;
}

async function superQuery({ info }: RunningServer, user: string, database: string, sql: string): Promise<void> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: info.port,
    user,
    password: info.password,
    database,
    ssl: false,
  });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The host's superuser is the one that the server was made with, by another name. */
async function rename(server: RunningServer, { superuser }: Profile): Promise<void> {
  if (superuser === 'postgres') return;
  await superQuery(
    server,
    'postgres',
    'postgres',
    `CREATE ROLE renaming SUPERUSER LOGIN PASSWORD '${server.info.password}'`,
  );
  await superQuery(server, 'renaming', 'postgres', `ALTER ROLE postgres RENAME TO ${superuser}`);
  await superQuery(server, superuser, 'postgres', 'DROP ROLE renaming');
}

it('docs/EXTERNAL-DATABASE.md has the commands of each', () => {
  const marks = BLOCKS.filter(({ language }) => language === 'sh').map(({ mark }) => mark);
  expect(marks.sort()).toEqual(PROFILES.map(({ mark }) => `host: ${mark}`).sort());
});

describe.each(PROFILES.map((profile) => [profile.mark, profile] as const))('%s', (mark, profile) => {
  it('the commands of its paragraph, as they stand there', async () => {
    const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-host-'));
    const server = await startTestServer(profile.version, scratch, profile.settings);
    try {
      await rename(server, profile);
      for (const [database, sql] of profile.made(PASSWORD)) await superQuery(server, profile.superuser, database, sql);
      const secrets = newSecrets();
      const secretsDir = folder(secrets);
      const common = {
        ...{ POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: String(server.info.port), PGSSLMODE: 'disable' },
        ...{ POSTGRES_PASSWORD: PASSWORD, DATABASE_MASTER_PASSWORD: PASSWORD, KASM_DB_GATE_PASSWORD: PASSWORD },
        KASM_DB_SECRETS_DIR: secretsDir,
      };
      const said: string[] = [];
      for (const { language, text } of BLOCKS.filter((block) => block.mark === `host: ${mark}`)) {
        if (language === 'sql') {
          await superQuery(server, profile.superuser, databaseOf(mark), text);
          continue;
        }
        for (const { args, env } of commandsOf(text)) {
          if (args.includes('--rotate')) writeFileSync(join(secretsDir, 'manager-token'), `${SECRET_MARK}rotated`);
          const run = await cli([...args, '--json'], { ...common, ...env });
          const result = run.json();
          expect(
            run.code,
            `kasm-db ${args.join(' ')}: ${run.stderr}\n${JSON.stringify(result.checks ?? result.differences)}`,
          ).toBe(0);
          said.push(args[0] as string);
          if (args[0] === 'doctor') {
            const warned = (result.checks ?? []).filter(({ state }) => state === 'warning').map(({ name }) => name);
            expect(warned.filter((name) => !['tls', 'version'].includes(name))).toEqual(profile.warnings ?? []);
          }
          if (args[0] === 'verify') expect(result.differences).toEqual([]);
          if (args.includes('--rotate'))
            expect(result.seed?.credentials).toContainEqual({ key: 'manager-token', action: 'rotated' });
          if (args[0] === 'rollback') expect(result.rolledBack).toHaveLength(1);
        }
      }
      for (const command of ['doctor', 'migrate', 'check', 'verify', 'seed', 'rollback'])
        expect(said).toContain(command);
    } finally {
      await server.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
  });
});

function databaseOf(mark: string): string {
  const [block] = BLOCKS.filter((each) => each.mark === `host: ${mark}` && each.language === 'sh');
  return commandsOf(block?.text ?? '')[0]?.env.POSTGRES_DB ?? 'postgres';
}
