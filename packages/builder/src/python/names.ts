/** The first of these names that a line of the module defines or imports. Does not see names that code makes at run time. */
export function definedIn(source: string, names: readonly string[]): string | undefined {
  const given = new Set(source.split('\n').flatMap(namesOf));
  return names.find((name) => given.has(name));
}

const DEFINED = /^(?:async[ \t]+def|def|class)[ \t]+(\w+)/;
const ASSIGNED = /^(\w+)[ \t]*(?::[^=]+)?=(?!=)/;
const IMPORTED = /^from[ \t].*?[ \t]import[ \t]/;

/** The names that one line of a module defines. The line is untrusted and of any length, so each expression reads it once. */
function namesOf(line: string): string[] {
  const defined = DEFINED.exec(line) ?? ASSIGNED.exec(line);
  if (defined !== null) return [defined[1] as string];
  const imported = IMPORTED.exec(line);
  if (imported === null) return [];
  const [list = ''] = line.slice(imported[0].length).split('#', 1);
  // `name as other` defines the last word.
  const parts = list.replace(/[()]/g, ' ').split(',');
  return parts.map(
    (part) =>
      part
        .trim()
        .split(/[ \t]+/)
        .at(-1) as string,
  );
}
