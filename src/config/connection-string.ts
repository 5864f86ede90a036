import { KasmDbError } from '../app/errors.js';
import { nearest } from './near-names.js';
import { PARAMETERS, parameterOf } from './parameters.js';

/** What a connection string sets, by libpq's keyword; an empty value is there, and counts as in libpq. */
export type ConnectionValues = Map<string, string>;

const URL_FORM = 'postgres://USER@HOST:PORT/DATABASE?sslmode=MODE';

/**
 * Reads a connection string by libpq's two grammars, a URL or `key=value` pairs (PostgreSQL manual, 34.1.1; conninfo_uri_parse_options
 * and conninfo_parse in its fe-connect.c).
 * @param setting how the user named it; no message repeats anything of the string, since any part may be of a password
 * @throws KasmDbError usage
 */
export function parseConnectionString(text: string, setting: string): ConnectionValues {
  const parsing = new Parsing(setting);
  const scheme = /^postgres(ql)?:\/\//.exec(text)?.[0];
  if (scheme !== undefined) parsing.url(text.slice(scheme.length));
  else if (/^[^:=]*=/.test(text)) parsing.pairs(text);
  else throw parsing.wrong('is not a PostgreSQL URL', `its form is ${URL_FORM} (or host=HOST dbname=DATABASE …)`);
  return parsing.values;
}

class Parsing {
  readonly values: ConnectionValues = new Map();

  constructor(private readonly setting: string) {}

  url(rest: string): void {
    // A login ends at the first @ that no / precedes; a ? may be part of it.
    const at = /^[^@/]*(?=@)/.exec(rest)?.[0];
    if (at !== undefined) {
      const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(at) ?? [];
      this.setPart('user', user);
      this.setPart('password', password);
    }
    const place = at === undefined ? rest : rest.slice(at.length + 1);
    const { hosts, ports, end } = this.netlocs(place);
    this.setPart('host', hosts.join(','));
    // An empty port is no port, so PGPORT may give it.
    this.setPart('port', ports.join(','));
    const [, dbname, query = ''] = /^(?:\/([^?]*))?(?:\?(.*))?$/s.exec(place.slice(end)) ?? [];
    if (at === undefined && dbname?.includes('@'))
      throw this.wrong('has an @ behind its first /', 'write / in a password as %2F, and @ in a database name as %40');
    if (dbname !== undefined) this.setPart('dbname', dbname);
    this.query(query);
  }

  /** `host:port,[address]:port,…` */
  private netlocs(text: string): { hosts: string[]; ports: string[]; end: number } {
    const hosts: string[] = [];
    const ports: string[] = [];
    const one = /(?:\[([^\]]*)\](?=[:/?,]|$)|((?!\[)[^:/?,]*))(?::([^/?,]*))?/sy;
    for (let end = 0; ; end++) {
      one.lastIndex = end;
      const match = one.exec(text);
      if (!match || match[1] === '')
        throw this.wrong('has no IPv6 address where [ stands', 'an address is written [::1], [ in a password as %5B');
      hosts.push(match[1] ?? match[2] ?? '');
      ports.push(match[3] ?? '');
      end = one.lastIndex;
      if (text[end] !== ',') return { hosts, ports: ports.some(Boolean) || ports.length > 1 ? ports : [], end };
    }
  }

  private query(text: string): void {
    // libpq lets the last & stand alone.
    for (const pair of text === '' ? [] : text.replace(/&$/, '').split('&')) {
      const parts = pair.split('=');
      if (parts.length !== 2)
        throw this.wrong(
          'has a parameter that is not KEY=VALUE',
          'write = in a value as %3D, & as %26, ? in a password as %3F',
        );
      const [keyword, value] = parts.map((part) => this.decode(part)) as [string, string];
      // The one word of JDBC's that libpq takes.
      if (keyword === 'ssl' && value === 'true') this.set('sslmode', 'require');
      else this.set(keyword, value);
    }
  }

  pairs(text: string): void {
    // \s would also take what C's isspace() does not.
    const pair =
      /[ \t\n\v\f\r]*([^= \t\n\v\f\r]*)[ \t\n\v\f\r]*=[ \t\n\v\f\r]*(?:'((?:\\.|[^\\'])*)'|((?!')(?:\\.|[^\\ \t\n\v\f\r])*\\?))/sy;
    while (/[^ \t\n\v\f\r]/.test(text.slice(pair.lastIndex))) {
      const match = pair.exec(text);
      if (!match)
        throw this.wrong('is not a list of key=value', "a value with blanks is written 'in quotes', ' as \\'");
      this.set(match[1] as string, (match[2] ?? match[3] ?? '').replace(/\\(.?)/gs, '$1'));
    }
  }

  /** A part of the URL before its query: an empty one sets nothing. */
  private setPart(keyword: string, text: string): void {
    if (text !== '') this.set(keyword, this.decode(text));
  }

  private set(keyword: string, value: string): void {
    if (value.includes('\0')) throw this.wrong('holds a NUL byte', 'remove it');
    // libpq's name for it until 9.3.
    if (keyword === 'requiressl') this.values.set('sslmode', value.startsWith('1') ? 'require' : 'prefer');
    else if (parameterOf(keyword)) this.values.set(keyword, value);
    else {
      const meant = nearest(
        keyword,
        PARAMETERS.map((parameter) => parameter.keyword),
      );
      throw this.wrong(
        'sets a parameter that libpq does not know',
        `${meant ? `did you mean ${meant}? ` : ''}docs/SETTINGS.md lists them; write ? in a password as %3F, & as %26`,
      );
    }
  }

  private decode(text: string): string {
    const trimmed = text.replace(/^ +| +$/g, '');
    if (trimmed.includes(' ')) throw this.wrong('holds a blank', 'write it as %20');
    if (/%(?![0-9a-f]{2})|%00/i.test(trimmed))
      throw this.wrong(
        'holds a % that is not a percent-encoding',
        'write % as %25, @ as %40, : as %3A, / as %2F, # as %23',
      );
    try {
      return decodeURIComponent(trimmed);
    } catch {
      throw this.wrong('holds a percent-encoding that is not UTF-8', 'encode it as UTF-8');
    }
  }

  wrong(what: string, hint: string): KasmDbError {
    return new KasmDbError('usage', `${this.setting} ${what}`, { hint });
  }
}
