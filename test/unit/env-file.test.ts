import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withEnvFile } from '../../src/config/env-file.js';
import { folder } from '../support/folder.js';

const file = (text: string) => join(folder({ '.env': text }), '.env');

describe('--env-file', () => {
  it('a variable a line, with comments, quotes and export; the environment counts more', () => {
    const text =
      '\ufeff# a comment\n\nPOSTGRES_HOST=db # here\r\nexport POSTGRES_DB="ka sm"\nPGUSER=\'a#b\' # c\nPGOPTIONS=\nPGPASSWORD= # later\nX= a=b#c\nY=#y\n';
    expect(withEnvFile(file(text), { POSTGRES_HOST: 'other' })).toEqual({
      POSTGRES_HOST: 'other',
      POSTGRES_DB: 'ka sm',
      PGUSER: 'a#b',
      PGOPTIONS: '',
      PGPASSWORD: '',
      X: 'a=b#c',
      Y: '#y',
    });
  });

  it('a long run of blanks takes no longer than other text', () => {
    const long = `a${' '.repeat(60_000)}b`;
    expect(withEnvFile(file(`X=${long}\n`), {})).toEqual({ X: long });
  });

  it('a line that sets nothing is named by its number, without its text', () => {
    const wrong = () => withEnvFile(file('A=1\nhunter2\n'), {});
    expect(wrong).toThrow(/line 2 of .*\.env does not set a variable/);
    expect(wrong).not.toThrow(/hunter2/);
    expect(() => withEnvFile('/nowhere/.env', {})).toThrow(/cannot read/);
  });
});
