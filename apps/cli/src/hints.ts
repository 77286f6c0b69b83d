/** The commands, as hints name them. */
export const COMMANDS = [
  'up',
  'down',
  'status',
  'doctor',
  'init',
  'dev',
  'build',
  'deploy',
  'invoke',
  'logs',
  'ls',
  'inspect',
  'rm',
  'versions',
  'traffic',
  'rollout',
  'rollback',
  'env',
  'secrets',
  'nodes',
  'keys',
  'help',
] as const;

const OWN_NAME = 'kiln';
const HINT = new RegExp(`(?<![\\w./-])${OWN_NAME} (?=(?:(?:${COMMANDS.join('|')}|<command>)(?![\\w-])|--?[a-zA-Z]))`, 'g');

/** How this command line was started: whoever started it says so, for a hint is to be typed as it is printed. */
export function invokedAs({ KILN_COMMAND }: Readonly<Record<string, string | undefined>>): string {
  return KILN_COMMAND || OWN_NAME;
}

/** Commands in a text of ours, as they have to be typed here. */
export function asInvoked(text: string, command: string): string {
  return command === OWN_NAME ? text : text.replace(HINT, () => `${command} `);
}
