import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingsTable } from '../../scripts/settings/table.js';
import { PARAMETERS } from '../../src/config/parameters.js';

/** PQconndefaults() of libpq 18: keyword, variable. */
const LIBPQ_18 =
  `service PGSERVICE, user PGUSER, password PGPASSWORD, passfile PGPASSFILE, channel_binding PGCHANNELBINDING,
  connect_timeout PGCONNECT_TIMEOUT, dbname PGDATABASE, host PGHOST, hostaddr PGHOSTADDR, port PGPORT, client_encoding PGCLIENTENCODING,
  options PGOPTIONS, application_name PGAPPNAME, fallback_application_name, keepalives, keepalives_idle, keepalives_interval,
  keepalives_count, tcp_user_timeout, sslmode PGSSLMODE, sslnegotiation PGSSLNEGOTIATION, sslcompression PGSSLCOMPRESSION,
  sslcert PGSSLCERT, sslkey PGSSLKEY, sslcertmode PGSSLCERTMODE, sslpassword, sslrootcert PGSSLROOTCERT, sslcrl PGSSLCRL,
  sslcrldir PGSSLCRLDIR, sslsni PGSSLSNI, requirepeer PGREQUIREPEER, require_auth PGREQUIREAUTH,
  min_protocol_version PGMINPROTOCOLVERSION, max_protocol_version PGMAXPROTOCOLVERSION,
  ssl_min_protocol_version PGSSLMINPROTOCOLVERSION, ssl_max_protocol_version PGSSLMAXPROTOCOLVERSION, gssencmode PGGSSENCMODE,
  krbsrvname PGKRBSRVNAME, gsslib PGGSSLIB, gssdelegation PGGSSDELEGATION, replication, target_session_attrs PGTARGETSESSIONATTRS,
  load_balance_hosts PGLOADBALANCEHOSTS, scram_client_key, scram_server_key, oauth_issuer, oauth_client_id, oauth_client_secret,
  oauth_scope, sslkeylogfile`
    .split(',')
    .map((entry) => entry.trim());

describe('parameters', () => {
  it('are those of libpq 18, with its variables', () => {
    const ours = PARAMETERS.map(({ keyword, variable }) =>
      // libpq has no variable for this one, kasm-db has.
      variable === undefined || keyword === 'sslpassword' ? keyword : `${keyword} ${variable}`,
    );
    expect(ours.toSorted()).toEqual(LIBPQ_18.toSorted());
  });

  it('that are refused say what to do', () => {
    for (const { refused, harmless } of PARAMETERS) if (harmless) expect(refused).toMatch(/leave it out|it is/);
  });

  it('docs/SETTINGS.md has the table of them (npm run docs:settings)', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/SETTINGS.md'), 'utf8');
    expect(page).toContain(`-->\n\n${settingsTable()}\n\n<!-- end of parameters -->`);
  });
});
