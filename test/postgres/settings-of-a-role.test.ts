import { describe, expect, it } from 'vitest';
import { ENGINE_VERSIONS } from '../fixtures/kasm/observe.js';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { type CliRun, cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

/** Those that have no list of values. */
const VALUES: Record<string, string> = {
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kolkata',
  timezone_abbreviations: 'India',
  extra_float_digits: '-15',
  search_path: 'pg_temp, information_schema, "$user"',
  default_text_search_config: 'pg_catalog.german',
  lc_monetary: 'de_DE.utf8',
  lc_numeric: 'de_DE.utf8',
  lc_time: 'de_DE.utf8',
  statement_timeout: '2s',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '1ms',
  client_min_messages: 'error',
};

/** What printing and reading of values, names and statements could depend on. */
const SETTINGS_SQL = `SELECT name, vartype, setting, enumvals FROM pg_settings WHERE context = 'user' AND name !~ '^(transaction_|default_transaction_read_only|in_hot)'
  AND (category LIKE 'Client Connection Defaults%' OR category LIKE 'Version and Platform Compatibility%') ORDER BY 1`;

/** Gives the login each of them with another value than usual. @returns their names */
async function changeAll(db: TestDatabase): Promise<string[]> {
  const settings = await db.superQuery<{ name: string; vartype: string; setting: string; enumvals: string[] | null }>(
    SETTINGS_SQL,
  );
  const changed: string[] = [];
  for (const { name, vartype, setting, enumvals } of settings) {
    const other = vartype === 'bool' ? (setting === 'on' ? 'off' : 'on') : enumvals?.find((value) => value !== setting);
    const value = VALUES[name] ?? other;
    if (value === undefined) continue;
    // A search_path is a list, and a server may lack a locale.
    const written = name === 'search_path' ? value : `'${value}'`;
    const done = await db.superQuery(`ALTER ROLE ${db.user} SET ${name} = ${written}`).then(
      () => true,
      () => false,
    );
    if (done) changed.push(name);
  }
  return changed;
}

async function ok(run: Promise<CliRun>): Promise<CliRun> {
  const { code, stderr } = await run;
  expect(code, stderr).toBe(0);
  return run;
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › settings of a role', (version) => {
  const secrets = folder(newSecrets());
  const unchanged = { inserted: 0, updated: 0, kept: 0 };

  it('trap 45: they change nothing that is read or written, whatever the server prints', async () => {
    const [plain, changed] = [await createDatabase(version), await createDatabase(version)];
    const names = await changeAll(changed);
    console.log(`PostgreSQL ${version}: ${names.length} settings changed: ${names.join(', ')}`);
    for (const name of [
      'DateStyle',
      'IntervalStyle',
      'TimeZone',
      'bytea_output',
      'extra_float_digits',
      'quote_all_identifiers',
      'xmlbinary',
    ])
      expect(names).toContain(name);
    // Written with them, read without; and the other way round.
    for (const db of [changed, plain]) {
      await ok(cli(['migrate', '--seed', '--secrets', secrets, '--json'], db.env));
      if (db === plain) await changeAll(db);
      else await db.superQuery(`ALTER ROLE ${db.user} RESET ALL`);
      expect((await ok(cli(['verify', '--json'], db.env))).json().differences).toEqual([]);
      expect((await ok(cli(['seed', '--secrets', secrets, '--json'], db.env))).json().seed).toMatchObject(unchanged);
      await ok(cli(['check', '--seed', '--json'], db.env));
    }
    const status = (await ok(cli(['status', '--json'], plain.env))).json();
    expect(status.pending).toEqual([]);
    const back = await ok(cli(['rollback', '--steps', '1', '--json'], plain.env));
    expect(back.json().rolledBack).toHaveLength(1);
    expect((await ok(cli(['migrate', '--json'], plain.env))).json().applied).toHaveLength(1);
  });
});
