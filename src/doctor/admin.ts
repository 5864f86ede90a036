import { withAdmin } from '../bootstrap/admin.js';
import { MAINTENANCE_DATABASES } from '../bootstrap/state.js';
import type { Context } from '../config/context.js';
import { type Environment, readVariable } from '../config/variables.js';
import type { Session } from '../postgres/session.js';
import type { Report } from './report.js';

const ADMIN_SQL = `SELECT rolname AS name, rolsuper OR (rolcreaterole AND rolcreatedb) AS able FROM pg_roles WHERE rolname = session_user`;

/** The admin login of bootstrap, where one is given. @throws KasmDbError */
export async function checkAdmin(report: Report, ctx: Context, env: Environment): Promise<void> {
  if (readVariable(env, 'DATABASE_MASTER_USER') === undefined) return;
  const dbnames = [ctx.resolve().dbname, ...MAINTENANCE_DATABASES] as const;
  const look = (session: Session) => session.reading(() => session.query(ADMIN_SQL));
  const [admin] = await withAdmin(ctx, env, dbnames, look, { once: true });
  if (admin.able) report.ok('admin', `${admin.name} may create roles and databases (for bootstrap only)`);
  else
    report.warning(
      'admin',
      `${admin.name} (DATABASE_MASTER_USER) may not create roles and databases, as bootstrap has to`,
      "use the administrator's login, or have the administrator run kasm-db bootstrap",
    );
}
