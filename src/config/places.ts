import { KasmDbError } from '../app/errors.js';
import { type ConnectionValues, parseConnectionString } from './connection-string.js';
import { PARAMETERS, type Parameter, parameterOf } from './parameters.js';
import { readService } from './service-file.js';
import { type Environment, type readSecretFile, readVariable, variableName } from './variables.js';

/** The connection flags of the command line, as the user wrote them. */
export interface ConnectionFlags {
  url?: string;
  host?: string;
  port?: string;
  dbname?: string;
  user?: string;
  sslmode?: string;
  targetSessionAttrs?: string;
  directUrl?: string;
  role?: string;
  connectTimeout?: string;
  /** Folder of a mounted Secret; its key db-password is the last place where a password is looked for. */
  secrets?: string;
}

/** One place where settings may stand. */
export interface Place {
  /** How messages name it; undefined: it does not set this parameter. An empty value counts as libpq counts it. */
  source(parameter: Parameter): string | undefined;
  value(parameter: Parameter): string;
}

/** All places, the strongest first. @throws KasmDbError usage */
export function findPlaces(
  flags: ConnectionFlags,
  env: Environment,
  direct: boolean,
  readFile: typeof readSecretFile,
): Place[] {
  const flag = (text: string | undefined, name: string) => (text === undefined ? [] : [stringPlace(text, name, true)]);
  const variable = (name: string) => {
    const found = readVariable(env, name, readFile);
    return found ? [stringPlace(found.value, name, false)] : [];
  };
  // A password in it is refused also where the command doesn't use it.
  const directFlag = flag(flags.directUrl, '--direct-url');
  const directUrl = directFlag.length > 0 ? directFlag : direct ? variable('KASM_DB_DIRECT_URL') : [];
  const strings = [...flag(flags.url, '--url'), ...variable('KASM_DB_URL'), ...variable('DATABASE_URL')];
  const own = variablesPlace(env, (parameter) => parameter.own, readFile);
  const libpq = variablesPlace(env, (parameter) => parameter.variable, readFile, true);
  const places = [...(direct ? directUrl : []), flagsPlace(flags), ...strings, own];
  // A service that a connection string names goes before PGSERVICE, as in libpq.
  const service = parameterOf('service') as Parameter;
  const naming = [...places, libpq].find((place) => place.source(service) !== undefined);
  if (!naming) return [...places, libpq];
  const name = naming.value(service);
  return [...places, valuesPlace(readService(name, env), `service ${name}`), libpq];
}

function valuesPlace(values: ConnectionValues, source: string): Place {
  return {
    source: ({ keyword }) => (values.has(keyword) ? source : undefined),
    value: ({ keyword }) => values.get(keyword) as string,
  };
}

function stringPlace(text: string, source: string, isFlag: boolean): Place {
  const values = parseConnectionString(text, source);
  const secret = PARAMETERS.find((parameter) => isFlag && parameter.secret && values.get(parameter.keyword));
  if (secret)
    throw new KasmDbError('usage', `${source} holds a password; process arguments are visible to other users`, {
      hint: 'put the password into POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE or KASM_DB_URL',
    });
  return valuesPlace(values, source);
}

/** The flags that are a parameter of libpq each; --connect-timeout has a form of its own. */
function flagsPlace({ host, port, dbname, user, sslmode, targetSessionAttrs }: ConnectionFlags): Place {
  const given = { host, port, dbname, user, sslmode, target_session_attrs: targetSessionAttrs };
  const values: ConnectionValues = new Map();
  for (const [keyword, value] of Object.entries(given)) {
    const flag = parameterOf(keyword)?.flag as string;
    // An unset variable of a script must not become a default.
    if (value === '') throw new KasmDbError('usage', `${flag} is empty`, { hint: 'give it a value, or leave it out' });
    if (keyword === 'dbname' && value?.includes('='))
      throw new KasmDbError('usage', '--dbname is the name of a database', {
        hint: 'a connection string goes into --url',
      });
    if (value !== undefined) values.set(keyword, value);
  }
  return {
    ...valuesPlace(values, ''),
    source: (parameter) => (values.has(parameter.keyword) ? parameter.flag : undefined),
  };
}

/** @param emptyCounts as in libpq: an empty variable is set, and overrides the default */
function variablesPlace(
  env: Environment,
  nameOf: (parameter: Parameter) => string | undefined,
  readFile: typeof readSecretFile,
  emptyCounts = false,
): Place {
  const source = (parameter: Parameter) => {
    const name = nameOf(parameter);
    if (name === undefined) return undefined;
    const set = variableName(env, name) ?? (emptyCounts && env[name] === '' ? name : undefined);
    if (set !== undefined || parameter.keyword !== 'sslmode' || !emptyCounts) return set;
    return env.PGREQUIRESSL?.startsWith('1') ? 'PGREQUIRESSL' : undefined;
  };
  return {
    source,
    value: (parameter) => {
      if (source(parameter) === 'PGREQUIRESSL') return 'require';
      return readVariable(env, nameOf(parameter) as string, readFile)?.value ?? '';
    },
  };
}
