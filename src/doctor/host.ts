import { createdExtensions } from '../migrations/extensions.js';
import type { Migration } from '../migrations/files.js';
import { tryExtension } from '../migrator/extensions.js';
import { requireLockOnPrimary } from '../postgres/lock.js';
import type { Session } from '../postgres/session.js';
import type { Report } from './report.js';

/** Behind what splits reads and writes a lock may be taken where it keeps nobody out. */
export async function checkLockOnPrimary(report: Report, session: Session): Promise<void> {
  await report.attempt('lock', async () => {
    await session.begin('write');
    await requireLockOnPrimary(session);
  });
  await session.rollback();
}

/** Asked as migrate will ask: what a host allows shows in nothing else. */
export async function checkExtensions(report: Report, session: Session, migrations: Migration[]): Promise<void> {
  const names = new Set<string>();
  for (const migration of migrations)
    for (const created of createdExtensions(await migration.sql())) names.add(created.name);
  for (const name of names) {
    const found = await report.attempt('extension', () => tryExtension(session, name));
    if (found) report.ok('extension', `${name} ${found === 'there' ? 'is there' : 'can be made'}`);
  }
}
