import { PUSH_LIMITS } from './limits.js';

/** The places of git and of its repositories. */
export interface GitPlaces {
  /** PATH of the router. */
  path: string;
  /** Holds one bare repository per project. */
  root: string;
  /** Folder with the only hook, Kiln's own. */
  hooks: string;
}

/**
 * The whole environment of a git process, field by field: nothing from the router's environment, from a user's or the machine's
 * configuration, or from pushed content. These settings win over the configuration file of a repository.
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
    // Old commits of well-known projects have these faults, which do no harm.
    ['receive.fsck.badTimezone', 'ignore'],
    ['receive.fsck.missingSpaceBeforeDate', 'ignore'],
    ['receive.fsck.zeroPaddedFilemode', 'ignore'],
    ['receive.maxInputSize', String(PUSH_LIMITS.packBytes)],
    // Git keeps a pack as it came and checks it while it streams, even with few objects.
    ['receive.unpackLimit', '1'],
    ['receive.denyNonFastForwards', 'false'],
    // Maintenance runs within the push, and so within its bounds.
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
