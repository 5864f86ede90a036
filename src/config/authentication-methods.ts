import { KasmDbError } from '../app/errors.js';

/** What require_auth allows a server to ask for. */
export interface RequiredMethods {
  allowed: ReadonlySet<string>;
  /** The server may let us in without asking for anything. */
  none: boolean;
}

const METHODS = ['password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'oauth'];

/**
 * Reads require_auth (PostgreSQL manual, 34.1.2): a list of methods, or of methods with `!` that must not be.
 * @returns undefined where it is not set: any method will do; an empty list allows none, as in libpq
 * @throws KasmDbError usage for what libpq refuses: an unknown or repeated method, both kinds mixed
 */
export function requiredMethods(text: string | undefined, source = ''): RequiredMethods | undefined {
  if (text === undefined) return undefined;
  if (text === '') return { allowed: new Set(), none: true };
  const items = text.split(',');
  const negated = items[0]?.startsWith('!') ?? false;
  const wrong = (item: string, what: string) =>
    new KasmDbError('usage', `require_auth "${item}" (${source}) ${what}`, {
      hint: `list some of ${METHODS.join(', ')}, none; or some of them with ! each`,
    });
  const names = items.map((item) => {
    if (item.startsWith('!') !== negated) throw wrong(item, 'mixes what must be with what must not');
    const name = item.replace(/^!/, '');
    if (name !== 'none' && !METHODS.includes(name)) throw wrong(item, 'is unknown');
    return name;
  });
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined) throw wrong(repeated, 'is listed more than once');
  return {
    allowed: new Set(METHODS.filter((method) => names.includes(method) !== negated)),
    none: names.includes('none') !== negated,
  };
}
