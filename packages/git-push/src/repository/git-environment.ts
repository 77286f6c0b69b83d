import { PUSH_LIMITS } from './limits.js';

/** Where git is found, and where its repositories are. */
export interface GitPlaces {
  /** PATH of the router. */
  path: string;
  /** Holds one bare repository per project. */
  root: string;
  /** Holds the only hook there is: ours. */
  hooks: string;
}

/**
 * All that a git process of ours is told, field by field: nothing of the router's own environment, of a user's or of the machine's
 * configuration, and nothing of what was pushed. Given for one command, these settings win over what a repository's file says.
 */
export function gitEnvironment({ path, root, hooks }: GitPlaces, repository: string): Record<string, string> {
  const settings: [key: string, value: string][] = [
    ['safe.directory', repository],
    ['core.hooksPath', hooks],
    ['core.bigFileThreshold', '8m'],
    ['core.logAllRefUpdates', 'false'],
    ['pack.threads', '1'],
    ['pack.windowMemory', '64m'],
    ['protocol.allow', 'never'],
    ['http.receivepack', 'true'],
    ['http.getanyfile', 'false'],
    ['receive.fsckObjects', 'true'],
    // Old commits of well-known projects have these, and they harm nobody.
    ...['badTimezone', 'missingSpaceBeforeDate', 'zeroPaddedFilemode'].map((fault): [string, string] => [
      `receive.fsck.${fault}`,
      'ignore',
    ]),
    ['receive.maxInputSize', String(PUSH_LIMITS.packBytes)],
    // A pack is kept as it came and checked while it streams, however few objects it holds.
    ['receive.unpackLimit', '1'],
    ['receive.denyNonFastForwards', 'false'],
    // Within the push, and so within its bounds.
    ['gc.autoDetach', 'false'],
    ['maintenance.autoDetach', 'false'],
  ];
  return {
    PATH: path,
    HOME: root,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_PROTOCOL_FROM_USER: '0',
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([key, value], i) => [
        [`GIT_CONFIG_KEY_${i}`, key],
        [`GIT_CONFIG_VALUE_${i}`, value],
      ]),
    ),
  };
}
