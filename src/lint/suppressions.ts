/** `-- kasm-db: lint-ignore RULE reason`: the next statement may do what the rule is against. */
export interface Suppression {
  rule: string;
  reason: string;
  /** 1-based. */
  line: number;
}

const COMMENT = /^\s*--\s*kasm-db:\s*lint-ignore\b[ \t]*(\S*)[ \t]*(.*?)\s*$/;

/** Pure. A suppression without a rule or a reason is given too, with empty texts. */
export function suppressionsIn(text: string): Suppression[] {
  return text.split('\n').flatMap((line, i) => {
    const match = COMMENT.exec(line);
    return match ? [{ rule: match[1] ?? '', reason: match[2] ?? '', line: i + 1 }] : [];
  });
}
