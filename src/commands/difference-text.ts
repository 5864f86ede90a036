import { groupBy } from '../app/group-by.js';
import { printable, type Style } from '../output/terminal.js';
import type { Difference } from '../schema/diff.js';
import { changeWords } from '../schema/difference-words.js';

/** By table: what is missing, what is extra, what is changed, each on a line. */
export function differenceText(differences: readonly Difference[], s: Style): string {
  return [...groupBy(differences, ({ group }) => group)]
    .flatMap(([group, list]) => [s.bold(printable(group)), ...list.map((difference) => `  ${line(difference, s)}`)])
    .join('\n');
}

function line(difference: Difference, s: Style): string {
  const name = nameOf(difference);
  if (difference.change === 'missing') return `${s.red('missing')}  ${name}`;
  if (difference.change === 'extra') return `${s.yellow('extra')}    ${name}`;
  return `${s.yellow('changed')}  ${changeOf(difference)}`;
}

/**
 * The same for what was accepted, which may be hundreds: whole tables and the like first, then by table, with a line for each kind of thing
 * that is there more or less, and for each change.
 */
export function acceptedText(differences: readonly Difference[], s: Style): string {
  const whole = differences.filter(({ change, object, group }) => change !== 'changed' && object.endsWith(` ${group}`));
  const parts = groupBy(
    differences.filter((difference) => !whole.includes(difference)),
    ({ group }) => group,
  );
  return [
    ...named(whole).map((text) => `  ${text}`),
    ...[...parts].flatMap(([group, list]) => [
      `  ${s.bold(printable(group))}`,
      ...named(list.filter(({ change }) => change !== 'changed')).map((text) => `    ${text}`),
      ...list.filter(({ change }) => change === 'changed').map((difference) => `    changed  ${changeOf(difference)}`),
    ]),
  ].join('\n');
}

function named(differences: readonly Difference[]): string[] {
  const kinds = groupBy(differences, (difference) => {
    const [kind] = nameOf(difference).split(' ');
    return `${difference.change === 'extra' ? 'extra    ' : 'missing  '}${kind}`;
  });
  return [...kinds].map(
    ([kind, list]) =>
      `${kind} ${list.map((difference) => nameOf(difference).split(' ').slice(1).join(' ')).join(', ')}`,
  );
}

function nameOf({ object, group }: Difference): string {
  return printable(object.replace(`${group}.`, ''));
}

function changeOf(difference: Difference): string {
  return printable(changeWords(nameOf(difference), difference));
}
