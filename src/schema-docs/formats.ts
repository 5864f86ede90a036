/** What `docs` can make. */
export const FORMATS = ['html', 'mermaid', 'markdown'] as const;
