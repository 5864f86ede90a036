import { KasmDbError } from '../app/errors.js';
import { type ConnectionValues, parseConnectionString } from './connection-string.js';
import { PARAMETERS, parameterOf } from './parameters.js';
import { readService } from './service-file.js';
import { type Environment, readVariable, variableName } from './variables.js';

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

/** A value as it stands in a place, and how messages name that. An empty one is set too, where libpq counts it. */
export interface Found {
  source: string;
  value: () => string;
}

/** What one place sets, by keyword. */
export type Place = ReadonlyMap<string, Found>;

/** All places, the strongest first; a value is read when it is asked for. @throws KasmDbError usage */
export function findPlaces(flags: ConnectionFlags, env: Environment, direct: boolean): Place[] {
  const flag = (text: string | undefined, name: string) => (text === undefined ? [] : [stringPlace(text, name, true)]);
  const variable = (name: string) => {
    const found = readVariable(env, name);
    return found ? [stringPlace(found.value, name, false)] : [];
  };
  // A password in it is refused also where the command doesn't use it.
  const directFlag = flag(flags.directUrl, '--direct-url');
  const directUrl = directFlag.length > 0 || !direct ? directFlag : variable('KASM_DB_DIRECT_URL');
  const places = [
    ...(direct ? directUrl : []),
    flagsPlace(flags),
    ...flag(flags.url, '--url'),
    ...variable('KASM_DB_URL'),
    ...variable('DATABASE_URL'),
    variablesPlace(env, 'own'),
  ];
  const libpq = variablesPlace(env, 'variable');
  // A service that a connection string names goes before PGSERVICE, as in libpq.
  const [named] = [...places, libpq].flatMap((place) => place.get('service') ?? []);
  if (!named) return [...places, libpq];
  const name = named.value();
  return [...places, placeOf(readService(name, env), () => `service ${name}`), libpq];
}

function placeOf(values: ConnectionValues, sourceOf: (keyword: string) => string): Place {
  return new Map([...values].map(([keyword, value]) => [keyword, { source: sourceOf(keyword), value: () => value }]));
}

function stringPlace(text: string, source: string, isFlag: boolean): Place {
  const values = parseConnectionString(text, source);
  if (isFlag && PARAMETERS.some(({ keyword, secret }) => secret && values.get(keyword)))
    throw new KasmDbError('usage', `${source} holds a password; process arguments are visible to other users`, {
      hint: 'put the password into POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE or KASM_DB_URL',
    });
  return placeOf(values, () => source);
}

/** The flags that are a parameter of libpq each; --connect-timeout has a form of its own. */
function flagsPlace({ host, port, dbname, user, sslmode, targetSessionAttrs }: ConnectionFlags): Place {
  const given = { host, port, dbname, user, sslmode, target_session_attrs: targetSessionAttrs };
  const flagOf = (keyword: string) => parameterOf(keyword)?.flag as string;
  const values: ConnectionValues = new Map();
  for (const [keyword, value] of Object.entries(given)) {
    // An unset variable of a script must not become a default.
    if (value === '')
      throw new KasmDbError('usage', `${flagOf(keyword)} is empty`, { hint: 'give it a value, or leave it out' });
    if (keyword === 'dbname' && value?.includes('='))
      throw new KasmDbError('usage', '--dbname is the name of a database', {
        hint: 'a connection string goes into --url',
      });
    if (value !== undefined) values.set(keyword, value);
  }
  return placeOf(values, flagOf);
}

/** @param names Kasm's variables, or libpq's: of these an empty one is set, too, and overrides the default */
function variablesPlace(env: Environment, names: 'own' | 'variable'): Place {
  const place = new Map<string, Found>();
  for (const { keyword, [names]: name } of PARAMETERS) {
    if (name === undefined) continue;
    const source = variableName(env, name) ?? (names === 'variable' && env[name] === '' ? name : undefined);
    if (source !== undefined) place.set(keyword, { source, value: () => readVariable(env, name)?.value ?? '' });
  }
  if (names === 'variable' && !place.has('sslmode') && env.PGREQUIRESSL?.startsWith('1'))
    place.set('sslmode', { source: 'PGREQUIRESSL', value: () => 'require' });
  return place;
}
