import { ERROR, KILN_PREFIX } from '@kiln/contract/wire/headers';
import { addConnectionNames, hasPrefix, is, isHopByHop, withoutNamed } from '@kiln/forward/headers/headers';

const FUNCTION_ERROR = 'function_error';

/** Who is told of the header lines that only Kiln may say. */
export interface OwnLines {
  /** @returns the name under which the line stays; undefined where it goes no further */
  own(name: string, value: string): string | undefined;
}

const DROPPED: OwnLines = { own: () => undefined };
const ONLY_FUNCTION_ERROR: OwnLines = { own: (name, value) => (is(name, ERROR) && value === FUNCTION_ERROR ? ERROR : undefined) };

/** The lines that travel on: none that only mean something on one connection, and of those named like ours what `lines` says. */
export function endToEnd(raw: readonly string[], lines: OwnLines): string[] {
  const kept: string[] = [];
  let named: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (isHopByHop(name)) {
      if (is(name, 'connection')) named = addConnectionNames(named, value);
    } else if (!hasPrefix(name, KILN_PREFIX)) {
      kept.push(name, value);
    } else {
      const stays = lines.own(name, value);
      if (stays !== undefined) kept.push(stays, value);
    }
  }
  return named === undefined ? kept : withoutNamed(kept, named);
}

/** What a function answered, as it travels on. @param keepFunctionError by which a runner tells its own 500 from the function's */
export function functionHeaders(raw: readonly string[], keepFunctionError: boolean): string[] {
  return endToEnd(raw, keepFunctionError ? ONLY_FUNCTION_ERROR : DROPPED);
}
