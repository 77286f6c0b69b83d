/** The text with each command as it is typed here: `npx kiln` for example. The names keep other uses apart: `git push kiln main`. */
export function asInvoked(text: string, invoked: string | undefined, commands: readonly string[]): string {
  if (!invoked) return text;
  const hint = new RegExp(`(?<![\\w./-])kiln (?=(?:(?:${commands.join('|')}|<command>)(?![\\w-])|--?[a-zA-Z]))`, 'g');
  return text.replace(hint, () => `${invoked} `);
}
