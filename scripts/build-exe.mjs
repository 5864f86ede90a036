// Builds dist-exe/: kasm-db as one file for Linux (glibc), with Bun in it instead of Node, and migrations, seeds and the parser's WASM.
//   node scripts/build-exe.mjs [x64] [arm64]    default: this machine's processor
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, EXTERNAL, version, WASM } from './bundle.mjs';
import { NOTICES, RUNTIME } from './notices.mjs';

const ROOT = new URL('..', import.meta.url).pathname;
const OUT = join(ROOT, 'dist-exe');
const COMPILER = join(ROOT, 'scripts/exe');
/** Bun's names of the processors. */
const CPUS = { x64: 'x64', arm64: 'aarch64' };

/**
 * Bun from npm, for one platform: as the compiler, or as what goes into the executable. Each in a folder of its own, since npm installs
 * for one platform at a time; what is there already is kept.
 * @returns path of the program
 */
function bunFor(os, cpu) {
  const folder = join(COMPILER, `bun-${os}-${cpu}`);
  const program = join(folder, `node_modules/@oven/bun-${os}-${CPUS[cpu]}/bin/bun`);
  const files = ['package.json', 'package-lock.json'];
  const same = (file) =>
    existsSync(join(folder, file)) && readFileSync(join(folder, file)).equals(readFileSync(join(COMPILER, file)));
  if (existsSync(program) && files.every(same)) return program;
  mkdirSync(folder, { recursive: true });
  for (const file of files) copyFileSync(join(COMPILER, file), join(folder, file));
  // The package's install script only moves the program to where `npx bun` finds it.
  const install = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', `--os=${os}`, `--cpu=${cpu}`];
  execFileSync('npm', [...install, ...(os === 'linux' ? ['--libc=glibc'] : [])], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return program;
}

/** JavaScriptCore is Bun's of that version. */
const bunVersion = `Bun ${JSON.parse(readFileSync(join(COMPILER, 'package-lock.json'), 'utf8')).packages['node_modules/bun'].version}`;

const cpus = process.argv.slice(2).length > 0 ? process.argv.slice(2) : [process.arch];
for (const cpu of cpus) if (!(cpu in CPUS)) throw new Error(`no executable for ${cpu}; there are ${Object.keys(CPUS)}`);

const work = join(ROOT, `dist-exe.${process.pid}`);
mkdirSync(work);
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

// The program that Node runs, compiled: in the same chunks, so that what is not called is not even looked at.
const runtime = RUNTIME.map((part) => ({ ...part, version: bunVersion }));
await bundle(work, { 'kasm-db': join(ROOT, 'src/main.ts') }, runtime);

mkdirSync(OUT, { recursive: true });
const compiler = bunFor(process.platform, process.arch);
for (const cpu of cpus) {
  const file = `kasm-db-linux-${cpu}`;
  execFileSync(
    compiler,
    [
      ...['build', '--compile', '--bytecode', '--splitting', '--format=esm', `--target=bun-linux-${cpu}`],
      `--compile-executable-path=${bunFor('linux', cpu)}`,
      // A .env or bunfig.toml in the current folder is not ours to obey: Node reads neither.
      ...['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig'],
      // A check is over before compiling its JavaScript pays; longer work still gets compiled.
      '--compile-jit-policy=20',
      ...EXTERNAL.flatMap((name) => ['--external', name]),
      ...[`--asset=${WASM}`, `--asset=${NOTICES}`, 'kasm-db.mjs', `--outfile=${file}`],
    ],
    { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  // Swapped in, so that a running test never meets half of it.
  renameSync(join(work, file), join(OUT, file));
  const megabytes = (statSync(join(OUT, file)).size / 1e6).toFixed(1);
  console.log(`dist-exe/${file}: kasm-db ${version}, ${megabytes} MB`);
}

// Beside it, for the release and the image.
renameSync(join(work, NOTICES), join(OUT, NOTICES));

// The one that runs here also has a name without its processor.
const here = `kasm-db-linux-${process.arch}`;
if (process.platform === 'linux' && existsSync(join(OUT, here))) {
  rmSync(join(OUT, 'kasm-db'), { force: true });
  symlinkSync(here, join(OUT, 'kasm-db'));
}
