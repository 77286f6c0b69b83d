/** A shorter text would also mask words that have nothing to do with a secret. */
const MIN_CHARS = 6;

/** Masks secrets in a text: each line of a secret, and the value of a line `name=value`. A step may print what it reads. */
export function maskOf(contents: Iterable<Buffer>): (text: string) => string {
  const lines = [...contents].flatMap((content) => content.toString('utf8').split(/\r?\n/)).map((line) => line.trim());
  const traces = lines.flatMap((line) => [line, ...settings(line)]).filter((trace) => trace.length >= MIN_CHARS);
  // The longest first: a text may be part of another.
  const hidden = [...new Set(traces)].sort((a, b) => b.length - a.length);
  return (text) => hidden.reduce((masked, trace) => masked.replaceAll(trace, '***'), text);
}

function settings(line: string): string[] {
  if (!line.includes('=')) return [];
  const value = line
    .slice(line.indexOf('=') + 1)
    .trim()
    .replace(/^["']|["']$/g, '');
  return /^https?:/.test(value) ? [] : [value];
}
