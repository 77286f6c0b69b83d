import { KilnError } from '@kiln/contract/errors';
import type { FunctionConfig } from '@kiln/contract/function-config';
import type { Scope } from '@kiln/contract/records';

/** Who may do what, answered from memory. */
export interface Keys {
  allows(authorization: string | undefined, scope: Scope): 'ok' | 'unauthorized' | 'forbidden';
}

/**
 * Whether a version takes the request at all.
 * @throws KilnError
 */
export function admit(config: FunctionConfig, keys: Keys, authorization: string | undefined, bodyLength: number | undefined): void {
  if (config.auth === 'key') requireKey(keys, authorization);
  if (bodyLength !== undefined && bodyLength > config.maxBody) throw tooLarge(config);
}

/** The answer to a body over the version's limit. */
export function tooLarge(config: FunctionConfig): KilnError {
  return new KilnError('payload_too_large', `the request body is larger than the ${config.maxBody} bytes that the function takes`, {
    fix: 'send less, or raise maxBody in the function’s configuration',
  });
}

function requireKey(keys: Keys, authorization: string | undefined): void {
  switch (keys.allows(authorization, 'invoke')) {
    case 'ok':
      return;
    case 'unauthorized':
      throw new KilnError('unauthorized', 'the function takes only requests with a valid API key', {
        fix: 'send the header "Authorization: Bearer <key>"',
      });
    case 'forbidden':
      throw new KilnError('forbidden', 'the API key lacks the scope "invoke"', { fix: 'use a key that has the scope "invoke"' });
  }
}
