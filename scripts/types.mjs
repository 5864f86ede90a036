// The library's declarations: those that index.d.ts leads to, and no other. The functions behind it are not public, and what only their
// signatures mention (pg's types among it) would else have to be installed by whoever checks a program against them.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

const ROOT = new URL('..', import.meta.url).pathname;
/** A function with its comment; tsc writes each at the beginning of a line, and ends it there with a semicolon. */
const FUNCTION = /^(?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export declare function [\s\S]*?;\n(?=[^\s}]|$)/gm;
const IMPORT = /^import (?:type )?(?:\{([^}]*)\}|\* as (\w+)|(\w+)) from '[^']+';\n/gm;

/** @param {string} out folder for the declarations */
export function writeTypes(out) {
  const all = `${resolve(out)}.all`;
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.types.json', '--outDir', all], { cwd: ROOT, stdio: 'inherit' });
  const written = new Set();
  const write = (file) => {
    if (written.has(file)) return;
    written.add(file);
    const text = readFileSync(file, 'utf8');
    const path = relative(all, file);
    const kept = path === 'index.d.ts' ? text : withoutUnusedImports(text.replace(FUNCTION, ''));
    mkdirSync(dirname(join(out, path)), { recursive: true });
    writeFileSync(join(out, path), kept);
    for (const [, next] of kept.matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g))
      write(join(dirname(file), `${next}.d.ts`));
  };
  try {
    write(join(all, 'index.d.ts'));
  } finally {
    rmSync(all, { recursive: true, force: true });
  }
}

function withoutUnusedImports(text) {
  const body = text.replace(IMPORT, '');
  const used = (name) => new RegExp(`\\b${name}\\b`).test(body);
  return text.replace(IMPORT, (line, list, namespace, single) => {
    const names = list?.split(',').map((name) => name.trim()) ?? [namespace ?? single];
    const kept = names.filter((name) => used(name.replace(/^type /, '').replace(/^.* as /, '')));
    if (kept.length === 0) return '';
    return list ? line.replace(/\{[^}]*\}/, `{ ${kept.join(', ')} }`) : line;
  });
}
