import { describe, expect, it } from 'vitest';
import { parseScript } from '../../src/postgres/parser.js';

describe('parseScript', () => {
  it('a file that would take gigabytes and half a minute is refused by its size', async () => {
    const sql = "INSERT INTO a VALUES (1, 'x');\n".repeat(400_000);
    await expect(parseScript(sql, 'a.sql')).rejects.toMatchObject({
      outcome: 'usage',
      message: expect.stringMatching(/^a\.sql is larger than 10 MB/),
    });
  });
});
