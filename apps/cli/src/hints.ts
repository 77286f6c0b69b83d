/**
 * The text with each command as the user has to type it here, with `npx kiln` for example. `commands` keeps other uses of the word
 * apart: `git push kiln main`.
 */
export function asInvoked(text: string, invoked: string | undefined, commands: readonly string[]): string {
  if (!invoked) return text;
  const hint = new RegExp(`(?<![\\w./-])kiln (?=(?:(?:${commands.join('|')}|<command>)(?![\\w-])|--?[a-zA-Z]))`, 'g');
  return text.replace(hint, () => `${invoked} `);
}
