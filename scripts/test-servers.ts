// Keeps the tests' PostgreSQL servers running, so that a single test file starts at once:
//   npm run test:servers -- FILE       writes FILE; Ctrl-C ends the servers
//   KASM_DB_TEST_SERVERS=FILE npx vitest run test/postgres/check.test.ts
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installServers } from '../test/support/global-setup.js';
import { startTestServer, VERSIONS } from '../test/support/server.js';

const file = process.argv[2];
if (!file) throw new Error('npm run test:servers -- FILE: name the file to write');
installServers(process.cwd());
const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-servers-'));
const running = [];
for (const version of VERSIONS) running.push(await startTestServer(version, scratch));
writeFileSync(file, JSON.stringify(running.map(({ info }) => info)), { mode: 0o600 });
console.log(`PostgreSQL ${VERSIONS.join(', ')} are running; ${file} says where`);
const end = async () => {
  await Promise.all(running.map((server) => server.stop()));
  rmSync(scratch, { recursive: true, force: true });
  rmSync(file, { force: true });
  process.exit(0);
};
process.on('SIGINT', end);
process.on('SIGTERM', end);
setInterval(() => {}, 60_000);
