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
