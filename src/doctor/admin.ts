import { connectAdmin } from '../bootstrap/admin.js';
import type { Context } from '../config/context.js';
import { type Environment, readVariable } from '../config/variables.js';
import type { Report } from './report.js';

const ADMIN_SQL = `SELECT rolname AS name, rolsuper OR (rolcreaterole AND rolcreatedb) AS able FROM pg_roles WHERE rolname = session_user`;

/** The admin login of bootstrap, where one is given. */
export async function checkAdmin(report: Report, ctx: Context, env: Environment): Promise<void> {
  try {
    if (readVariable(env, 'DATABASE_MASTER_USER') === undefined) return;
    const session = await connectAdmin(ctx, env, [ctx.resolve().dbname, 'postgres', 'template1'], { once: true });
    try {
      const [admin] = await session.reading(() => session.query(ADMIN_SQL));
      if (admin.able) report.ok('admin', `${admin.name} may create roles and databases (for bootstrap only)`);
      else
        report.warning(
          'admin',
          `${admin.name} (DATABASE_MASTER_USER) may not create roles and databases, as bootstrap has to`,
          "use the administrator's login, or have the administrator run kasm-db bootstrap",
        );
    } finally {
      await session.end();
    }
  } catch (error) {
    report.fail('admin', error);
  }
}
