// Makes docs/terminal.svg: runs kasm-db on an empty PostgreSQL 16 under a pseudo-terminal, and draws what the terminal shows.
// Times and process ids differ from run to run; test/cli/picture.test.ts holds everything else against a run of its own.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { startTestServer } from '../test/support/server.js';
import { record } from './picture/record.js';
import { svg } from './picture/svg.js';

const ROOT = resolve(import.meta.dirname, '..');
if (!existsSync(join(ROOT, 'test/.servers/node_modules')))
  throw new Error('the PostgreSQL of the tests is not here yet: run any test first, such as npx vitest run test/cli');

const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-picture-'));
const server = await startTestServer(16, scratch);
try {
  const secret = () => randomBytes(12).toString('hex');
  const password = secret();
  const admin = new pg.Client({
    host: '127.0.0.1',
    port: server.info.port,
    user: 'postgres',
    password: server.info.password,
    database: 'postgres',
  });
  await admin.connect();
  await admin.query(`CREATE ROLE kasmapp LOGIN PASSWORD '${password}'`);
  await admin.query('CREATE DATABASE kasm OWNER kasmapp');
  await admin.end();
  const lines = record(join(ROOT, 'dist/kasm-db.mjs'), {
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(server.info.port),
    POSTGRES_DB: 'kasm',
    POSTGRES_USER: 'kasmapp',
    POSTGRES_PASSWORD: password,
    DEFAULT_ADMIN_PASSWORD: secret(),
    DEFAULT_USER_PASSWORD: secret(),
    DEFAULT_MANAGER_TOKEN: secret(),
    DEFAULT_REGISTRATION_TOKEN: secret(),
  });
  writeFileSync(join(ROOT, 'docs/terminal.svg'), svg(lines, 'kasm-db migrate, status and check in a terminal'));
} finally {
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
}
