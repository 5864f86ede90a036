/** What a changed `notNull` of a column means. @param actual as a difference has it */
export function nullWords(actual: string | undefined): string {
  return actual === 'true' ? 'it must have a value now (NOT NULL)' : 'it may now be NULL';
}
