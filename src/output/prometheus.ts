/** One number about a database, for Prometheus. */
export interface Metric {
  name: string;
  help: string;
  /** undefined: not known, and left out. */
  value: number | undefined;
}

/** Metrics in Prometheus' text format (0.0.4), as node_exporter's textfile collector and the Pushgateway take them. */
export function prometheusText(metrics: readonly Metric[], labels: Record<string, string>): string {
  const set = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return metrics
    .flatMap(({ name, help, value }) =>
      value === undefined
        ? []
        : [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name}{${set.join(',')}} ${value}`],
    )
    .join('\n');
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}
