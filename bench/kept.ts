/** What a page keeps of the one before: benches that were not measured today, each with its day. Pure. */
export interface Kept {
  /** A bench's section, by its title; undefined: it was never measured. */
  section(title: string): string | undefined;
  /** Lines of the table of limits, of these texts. */
  limits(texts: readonly string[]): string[];
  /** Versions that were measured with, but of these tools. */
  versions(but: readonly string[]): string[];
}

/** @param page text of docs/BENCHMARKS.md as it was; '' where there is none */
export function keptOf(page: string): Kept {
  const [head = '', ...sections] = page.split(/^## /m);
  const day = /^Measured on (\S+)/m.exec(head)?.[1] ?? '';
  const dated = (section: string) =>
    section.replace(/\(measured at ([^)]*)\)/, (whole, at) =>
      / on \d{4}-/.test(at) ? whole : `(measured at ${at} on ${day})`,
    );
  return {
    section: (title) => {
      const found = sections.find((section) => section.startsWith(`${title}\n`));
      return found === undefined ? undefined : dated(`## ${found}`).trimEnd();
    },
    limits: (texts) => {
      const section = sections.find((text) => text.startsWith('Limits\n')) ?? '';
      const rows = section.split('\n').filter((line) => /^\|.*\| (met|\*\*missed\*\*|not measured) \|$/.test(line));
      return rows.filter((row) => texts.some((text) => row.startsWith(`| ${text} |`)));
    },
    versions: (but) => {
      const all = /^Versions: (.*)\.$/m.exec(head)?.[1]?.split(', ') ?? [];
      return all.filter((version) => !but.some((name) => version.startsWith(`${name} `)));
    },
  };
}
