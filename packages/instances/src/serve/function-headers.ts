import { ERROR, KILN_PREFIX } from '@kiln/contract/wire/headers';
import { addConnectionNames, hasPrefix, is, isHopByHop, withoutNamed } from '@kiln/forward/headers/headers';

const FUNCTION_ERROR = 'function_error';

/** What a function answered, without what only means something on its own connection and without headers named like ours. */
export function functionHeaders(raw: readonly string[], keepFunctionError: boolean): string[] {
  const kept: string[] = [];
  let named: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (isHopByHop(name)) {
      if (is(name, 'connection')) named = addConnectionNames(named, value);
    } else if (!hasPrefix(name, KILN_PREFIX)) {
      kept.push(name, value);
    } else if (keepFunctionError && is(name, ERROR) && value === FUNCTION_ERROR) {
      kept.push(ERROR, value);
    }
  }
  return named === undefined ? kept : withoutNamed(kept, named);
}
