import type { FunctionConfig } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import type { Scope } from '@kiln/contract/records/records';
import { get } from '@kiln/forward/headers/headers';
import type { KeyTable } from '../view/key-table.js';
import type { Caller } from './invocation.js';
import type { RequestHead } from './request-head.js';

/** The answer to a body over the version's limit. */
export function tooLarge(config: FunctionConfig): KilnError {
  return new KilnError('payload_too_large', `the request body is larger than the ${config.maxBody} bytes that the function takes`, {
    fix: 'send less, or raise maxBody in the function’s configuration',
  });
}

/** Frameworks take the method from these, where they are asked to. */
const METHOD_OVERRIDES = ['x-http-method-override', 'x-http-method', 'x-method-override'];

/**
 * A browser's question before a call from another origin. It never carries a key, so the function answers it without one. A switch of
 * protocols, a body or another method is no part of such a question: nobody gets those past the key by its two headers.
 */
export function isPreflight({ request, switches }: Pick<Caller, 'request' | 'switches'>, { kept, bodyLength }: RequestHead): boolean {
  if (request.method !== 'OPTIONS' || switches || bodyLength !== 0) return false;
  if (METHOD_OVERRIDES.some((name) => get(kept, name) !== undefined)) return false;
  return get(kept, 'origin') !== undefined && get(kept, 'access-control-request-method') !== undefined;
}

/** @throws KilnError where the caller has no key for that, or may try no more. @param address of the caller */
export function requireKey(
  keys: Pick<KeyTable, 'allows'>,
  authorization: string | undefined,
  scope: Scope,
  address: string,
  withoutKey: string,
  fix = 'send the header "Authorization: Bearer <key>"',
): void {
  switch (keys.allows(authorization, scope, address)) {
    case 'ok':
      return;
    case 'unauthorized':
      throw new KilnError('unauthorized', withoutKey, { fix });
    case 'limited':
      throw new KilnError('rate_limited', 'too many wrong API keys came from this address', {
        fix: 'correct the key, and try again in a few seconds',
        retryAfter: 5,
      });
    case 'forbidden':
      throw new KilnError('forbidden', `the API key lacks the scope "${scope}"`, { fix: `use a key that has the scope "${scope}"` });
  }
}
