import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../../src');
const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => join(entry.parentPath, entry.name));
const found = (pattern: RegExp) =>
  files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${file.slice(SRC.length + 1)}:${i + 1} ${line.trim()}`] : [])),
  );

describe('src › nothing of it runs text as a program', () => {
  it('the search finds what it looks for', () => {
    expect(found(/spawn\(/).length).toBeGreaterThan(0);
  });

  it.each([
    ['eval and its like', /\beval\s*\(|new Function\s*\(|from 'node:vm'|import\('node:vm'\)/],
    ['a shell', /(?<!\.)\bexec(Sync|File|FileSync)?\(|shell:\s*true|\bsh\b['"],\s*\[?['"]-c/],
  ])('%s', (_, pattern) => {
    expect(found(pattern)).toEqual([]);
  });

  it('child processes are the private server’s programs, and what once is told to run', () => {
    expect(found(/child_process/).map((line) => line.split(':')[0])).toEqual(
      expect.arrayContaining(['embedded/server-process.ts']),
    );
    expect(
      found(/child_process/).filter(
        (line) => !/^(embedded\/(server-process|embedded|binaries)|once\/(keeper|program))\.ts/.test(line),
      ),
    ).toEqual([]);
  });
});
