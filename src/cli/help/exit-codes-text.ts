import type { Style } from '../../output/terminal.js';
import type { ExitCode } from './exit-codes.js';
import { item, wrapped } from './layout.js';

/** For docs/TROUBLESHOOTING.md: a section for each code. */
export function exitCodesMarkdown(codes: readonly ExitCode[]): string {
  return codes
    .map(({ code, name, retryHelps, about, cases }) => {
      const retry = code === '0' ? '' : ` ${retryNote(retryHelps)}`;
      const rows = cases.map(([see, why, what]) => `| ${see} | ${why} | ${what} |`);
      const table = rows.length > 0 ? ['', '| you see | why | do |', '|---|---|---|', ...rows] : [];
      return [`## ${code} ${name}`, `${about}${retry}`, ...table].join('\n');
    })
    .join('\n\n');
}

/** The same for a terminal. */
export function exitCodesText(codes: readonly ExitCode[], s: Style): string {
  const part = (term: string, text: string) => item(`  ${term}`, plain(text), 5, s);
  return codes
    .map(({ code, name, retryHelps, about, cases }) => {
      const retry = code === '0' ? '' : ` ${retryNote(retryHelps)}`;
      const head = [s.bold(`${code} ${name}`), wrapped(plain(`${about}${retry}`), s)];
      const list = cases.map(([see, why, what]) =>
        ['', s.yellow(`  ${plain(see)}`), part('why', why), part('do', what)].join('\n'),
      );
      return [...head, ...list].join('\n');
    })
    .join('\n\n');
}

function retryNote(helps: boolean): string {
  return helps ? 'Trying again helps.' : 'Trying again does not help.';
}

/** Without Markdown's signs; links become the paths of the files. */
function plain(markdown: string): string {
  return markdown.replace(/\[([^\]]+)\]\(\1\)/g, 'docs/$1').replaceAll('`', '');
}
