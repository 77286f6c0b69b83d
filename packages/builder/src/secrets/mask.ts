/** Shorter ones would take words out of what has nothing to do with them. */
const MIN_CHARS = 6;

/** Takes contents out of text, line by line, and what their settings are set to: a step may print what it was given. */
export function maskOf(contents: Iterable<Buffer>): (text: string) => string {
  const lines = [...contents].flatMap((content) => content.toString('utf8').split(/\r?\n/)).map((line) => line.trim());
  const traces = lines.flatMap((line) => [line, ...settings(line)]).filter((trace) => trace.length >= MIN_CHARS);
  // The longest first: one may be a part of another.
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
