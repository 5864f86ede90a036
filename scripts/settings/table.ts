import { PARAMETERS, type Parameter } from '../../src/config/parameters.js';

const code = (text: string) => `\`${text}\``;

/** The table of docs/SETTINGS.md: libpq's parameters, those that are refused in a table of their own. */
export function settingsTable(): string {
  const supported = PARAMETERS.filter(({ refused }) => refused === undefined).map(
    (parameter) => [names(parameter), environment(parameter), value(parameter)] as const,
  );
  const refused = PARAMETERS.filter((parameter) => parameter.refused !== undefined).map(
    (parameter) => [names(parameter), environment(parameter), parameter.refused as string] as const,
  );
  return [
    ...rows(['parameter', 'environment', 'default; values'], supported),
    '',
    'Refused by name when set to anything else than what kasm-db does anyway:',
    '',
    ...rows(['parameter', 'environment', 'because, or instead'], refused),
  ].join('\n');
}

function rows(head: readonly string[], lines: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`.replaceAll('  ', ' ');
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...lines.map(line)];
}

const names = ({ keyword, flag }: Parameter) => [keyword, ...(flag ? [flag] : [])].map(code).join(', ');

const environment = ({ own, variable }: Parameter) =>
  [own, variable]
    .filter((name) => name !== undefined)
    .map(code)
    .join(', ');

function value({ default: fallback, values, note }: Parameter): string {
  const plain = fallback !== undefined && !/ /.test(fallback);
  return [
    ...(fallback === undefined ? [] : [plain ? code(fallback) : fallback]),
    ...(values
      ? [
          values
            .filter((name) => name !== fallback)
            .map(code)
            .join(', '),
        ]
      : []),
    ...(note ? [note] : []),
  ].join('; ');
}
