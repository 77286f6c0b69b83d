const OWN_NAME = 'kiln';

/** How the user starts this command line, `npx kiln` for example: hints are printed so that they can be typed as they are. */
export function invokedAs({ KILN_COMMAND }: Readonly<Record<string, string | undefined>>): string {
  return KILN_COMMAND || OWN_NAME;
}

/** The text with each command as the user has to type it here. `commands` keeps other uses of the word apart: `git push kiln main`. */
export function asInvoked(text: string, invoked: string, commands: readonly string[]): string {
  if (invoked === OWN_NAME) return text;
  const hint = new RegExp(`(?<![\\w./-])${OWN_NAME} (?=(?:(?:${commands.join('|')}|<command>)(?![\\w-])|--?[a-zA-Z]))`, 'g');
  return text.replace(hint, () => `${invoked} `);
}
