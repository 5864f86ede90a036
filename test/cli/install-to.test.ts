import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, folder } from '../support/cli.js';

const isExecutable = process.env.KASM_DB_EXECUTABLE !== undefined;

describe('install-to', () => {
  it.runIf(isExecutable)('copies the executable, which runs from there; a second time it is replaced', async () => {
    const target = join(folder({}), 'not', 'there', 'yet');
    for (const time of ['first', 'second']) {
      const { code, stdout, stderr } = await cli(['install-to', target]);
      expect(code, `${time}: ${stderr}`).toBe(0);
      expect(stdout).toBe(`Installed ${target}/kasm-db.\n`);
    }
    expect(readdirSync(target)).toEqual(['kasm-db']);
    expect(statSync(join(target, 'kasm-db')).mode & 0o777).toBe(0o755);
    const { status, stdout } = spawnSync(join(target, 'kasm-db'), ['--version'], { encoding: 'utf8', env: {} });
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
  });

  it.runIf(isExecutable)('a folder that takes no file is named', async () => {
    const file = join(folder({ file: '' }), 'file');
    const { code, stderr } = await cli(['install-to', file]);
    expect(code, stderr).toBe(2);
    expect(stderr).toContain(`cannot be copied to ${file}/kasm-db`);
  });

  it.skipIf(isExecutable)('on Node there is no executable to copy', async () => {
    const target = folder({});
    const { code, stderr } = await cli(['install-to', target]);
    expect(code).toBe(9);
    expect(stderr).toContain('only the standalone executable can copy itself');
    expect(existsSync(join(target, 'kasm-db'))).toBe(false);
  });
});
