import type { Findings, Show, Timing } from './bench.js';
import type { Family } from './peers/peer.js';
import { median } from './support.js';

/** Median of the ratios to the floor, round by round. */
export function ratio({ samples, floor }: Timing): number {
  return median(samples.map((ms, i) => ms / (floor[i] as number)));
}

const find = (findings: Findings, name: string) => findings.timings?.find((timing) => timing.name === name);

/**
 * How many times as long one takes as the other, or as the floor. Of two runs apart, the ratios to their own floors are compared.
 * @returns undefined when one of them was not measured
 */
export function ratioTo(findings: Findings, name: string, other?: string): number | undefined {
  const own = find(findings, name);
  if (!own) return undefined;
  if (other === undefined) return ratio(own);
  const against = find(findings, other);
  if (!against) return undefined;
  const together = own.floor.length === against.floor.length && own.floor.every((ms, i) => ms === against.floor[i]);
  return together
    ? median(own.samples.map((ms, i) => ms / (against.samples[i] as number)))
    : ratio(own) / ratio(against);
}

export function atMost(text: string, figure: number | undefined, limit: number): Show {
  return {
    text,
    figure: figure === undefined ? 'not measured' : `${figure.toFixed(2)} x`,
    limit: `at most ${limit} x`,
    met: figure === undefined ? undefined : figure <= limit,
  };
}

/** Is `name` at least `times` as fast as every peer of these families? */
export function fasterThanAll(
  text: string,
  findings: Findings,
  name: string,
  families: readonly Family[],
  times = 1,
  only: (name: string) => boolean = () => true,
): Show {
  const others = (findings.timings ?? [])
    .filter((timing) => families.includes(timing.family as Family) && only(timing.name))
    .map((timing) => ({ name: timing.name, times: ratioTo(findings, timing.name, name) as number }))
    .sort((a, b) => a.times - b.times);
  const [nearest] = others;
  return {
    text,
    figure:
      nearest && !Number.isNaN(nearest.times)
        ? `${nearest.times.toFixed(2)} x as fast as ${nearest.name}`
        : 'not measured',
    limit: times === 1 ? 'faster than each' : `at least ${times} x`,
    met: nearest ? nearest.times >= times : undefined,
  };
}
