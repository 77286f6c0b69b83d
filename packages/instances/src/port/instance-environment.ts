import { KINDS } from '@kiln/contract/kinds';
import type { FunctionVersion } from './container-driver.js';

/** By which an instance knows what it serves, and where. @param socketPath of the agent's socket, as the instance sees it */
export function instanceEnvironment(
  { function: name, version, kind, config }: FunctionVersion,
  socketPath: string,
): Record<string, string | undefined> {
  const own = { KILN_FUNCTION: name, KILN_VERSION: String(version) };
  if (KINDS[kind].reachedBy === 'address') return { ...own, PORT: String(config.port) };
  return {
    ...own,
    KILN_SOCKET: socketPath,
    KILN_CONCURRENCY: String(config.concurrency),
    KILN_TIMEOUT: String(config.timeout),
    KILN_ENTRY: config.entry,
    KILN_HANDLER: config.handler,
  };
}
