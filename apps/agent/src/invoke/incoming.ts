import { FUNCTION, KILN_PREFIX, NOTIFY_LEASE, REQUEST_ID, SECRET, VERSION } from '@kiln/contract/wire/headers';
import { addConnectionNames, hasPrefix, is, isHopByHop, withoutNamed } from '@kiln/forward/headers/headers';

/** The head of a request from a router, read in one pass: what the router says, and what goes to the instance. */
export class Incoming {
  secret: string | undefined;
  function = '';
  version = 0;
  requestId = '';
  notifyLease = false;
  /** No hop-by-hop headers and none of ours. */
  kept: string[] = [];
}

export function readIncoming(raw: readonly string[]): Incoming {
  const incoming = new Incoming();
  const { kept } = incoming;
  let named: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    if (isHopByHop(name)) {
      if (is(name, 'connection')) named = addConnectionNames(named, value);
    } else if (hasPrefix(name, KILN_PREFIX)) {
      take(incoming, name, value);
    } else {
      if (name.length === REQUEST_ID.length && is(name, REQUEST_ID)) incoming.requestId = value;
      kept.push(name, value);
    }
  }
  if (named !== undefined) incoming.kept = withoutNamed(kept, named);
  return incoming;
}

function take(incoming: Incoming, name: string, value: string): void {
  switch (name.toLowerCase()) {
    case SECRET:
      incoming.secret = value;
      break;
    case FUNCTION:
      incoming.function = value;
      break;
    case VERSION:
      incoming.version = Number(value);
      break;
    case NOTIFY_LEASE:
      incoming.notifyLease = value === '1';
      break;
  }
}
