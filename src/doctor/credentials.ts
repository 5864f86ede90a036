import { KasmDbError, messageOf } from '../app/errors.js';
import type { Session } from '../postgres/session.js';
import { compareCredentials } from '../seed/compare-credentials.js';
import type { Credentials } from '../seed/credentials.js';
import type { Report } from './report.js';

/** Has the database what the Secret has? What is wrong with the Secret itself is told with the seed. */
export async function checkCredentials(report: Report, session: Session, credentials: Credentials): Promise<void> {
  try {
    for (const { key, kind, text, encrypted } of await session.reading(() => compareCredentials(session, credentials)))
      report.warning(
        'secrets',
        text,
        encrypted
          ? "is it the Secret that Kasm's pods have? If not, change the token in Kasm; seed --rotate does not overwrite what looks encrypted"
          : kind === 'token'
            ? `is it the Secret that Kasm's pods have? Both charts need the same one (docs/KASM-HELM.md); to apply this one: kasm-db seed --rotate ${key}`
            : `nothing has to be done if it was changed in Kasm; to apply the Secret's: kasm-db seed --rotate ${key}`,
      );
  } catch (error) {
    if (error instanceof KasmDbError) return;
    const text = `the credentials could not be compared with the database's: ${messageOf(error)}`;
    report.warning('secrets', text, 'check that the tables settings and users are as Kasm makes them');
  }
}
