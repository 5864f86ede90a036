/** A time for people, in their time zone and whole seconds: `2026-03-01 14:05:09`. @param iso ISO 8601 */
export function localTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const two = (number: number) => String(number).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`;
}

const UNITS: [seconds: number, name: string][] = [
  [86_400, 'day'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
];

/** How long ago that was: `2 min ago`. @param iso ISO 8601 @param now milliseconds since 1970 */
export function ago(iso: string, now: number): string {
  const seconds = Math.floor((now - Date.parse(iso)) / 1000);
  // The server's clock may be ahead of ours.
  if (!(seconds >= 1)) return 'just now';
  const [size, name] = UNITS.find(([size]) => seconds >= size) as [number, string];
  const count = Math.floor(seconds / size);
  return `${count} ${name}${name === 'day' && count > 1 ? 's' : ''} ago`;
}

/** Milliseconds for people: `850 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 days 1 h`. */
export function formatMs(ms: number): string {
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`;
  if (Math.round(ms / 100) < 600) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.round(seconds / 60);
  const hours = Math.round(minutes / 60);
  if (minutes < 60) return pair([Math.floor(seconds / 60), 'min'], [seconds % 60, 's']);
  if (hours < 48) return pair([Math.floor(minutes / 60), 'h'], [minutes % 60, 'min']);
  return pair([Math.floor(hours / 24), 'days'], [hours % 24, 'h']);
}

/** Seconds for people, in whole ones: `42 s`, `5 min 3 s`. */
export function formatSeconds(seconds: number): string {
  return seconds < 59.5 ? `${Math.round(seconds)} s` : formatMs(seconds * 1000);
}

function pair([whole, unit]: [number, string], [rest, smaller]: [number, string]): string {
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${smaller}`;
}
