import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FILE_LIMITS, readFile } from '../../src/app/read-file.js';

const scratch = mkdtempSync(join(tmpdir(), 'kasm-db-files-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const file = (name: string, content: string | Buffer) => {
  const path = join(scratch, name);
  writeFileSync(path, content);
  return path;
};
const fifo = (name: string) => {
  const path = join(scratch, name);
  execFileSync('mkfifo', [path]);
  return path;
};

describe('reading a file that a user has named', () => {
  it('gives its bytes, also of one that says it is empty', () => {
    expect(readFile(file('a', 'äöü'), 'secret').bytes.toString()).toBe('äöü');
    expect(readFile('/proc/version', 'secret').bytes.toString()).toMatch(/^Linux version/);
    expect(readFile(file('empty', ''), 'migration').bytes).toHaveLength(0);
  });

  it('takes one as large as its kind may be, and none that is larger', () => {
    const exact = file('exact', Buffer.alloc(FILE_LIMITS.secret, 'x'));
    expect(readFile(exact, 'secret').bytes).toHaveLength(FILE_LIMITS.secret);
    const larger = file('larger', Buffer.alloc(FILE_LIMITS.secret + 1, 'x'));
    expect(() => readFile(larger, 'secret')).toThrow('it is larger than 64 KB');
    expect(readFile(larger, 'pem').bytes).toHaveLength(FILE_LIMITS.secret + 1);
  });

  it.each(['secret', 'pem', 'migration'] as const)('neither folder nor device nor missing file hangs: %s', (kind) => {
    mkdirSync(join(scratch, `folder-${kind}`));
    expect(() => readFile(join(scratch, `folder-${kind}`), kind)).toThrow('it is a folder, not a file');
    expect(() => readFile('/dev/zero', kind)).toThrow('it is a device, not a file');
    expect(() => readFile(join(scratch, 'nothing'), kind)).toThrow(/ENOENT/);
  });

  it('a pipe is read for a Secret only, and not waited for without end', () => {
    const path = fifo('pipe');
    const end = openSync(path, 'r+');
    writeSync(end, 'hidden\n');
    expect(() => readFile(path, 'migration')).toThrow('it is a pipe, not a file');
    // Whoever writes has not ended yet.
    expect(() => readFile(path, 'secret')).toThrow(/nothing came/);
    // Not waited for a second time, in which nobody would hear a signal.
    writeSync(end, 'more\n');
    closeSync(end);
    expect(() => readFile(path, 'secret')).toThrow(/nothing came/);
  });

  it('a pipe without a writer is empty', () => {
    expect(readFile(fifo('lonely'), 'secret').bytes).toHaveLength(0);
  });
});
