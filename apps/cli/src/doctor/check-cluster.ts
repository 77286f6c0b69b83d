import type { NodeView, StoreView } from '@kiln/contract/api/control-api';
import type { Session } from '../command.js';
import { connect } from '../connection.js';
import { tell } from '../failure.js';
import { type Check, failedCheck, ok, warning } from './check.js';

/** What the nodes say of themselves, host rules among it: only they can see it. */
export async function checkCluster(session: Session): Promise<Check[]> {
  const client = connect(session);
  let nodes: NodeView[];
  let view: StoreView;
  try {
    [nodes, view] = await Promise.all([client.nodes.list(), client.store.get()]);
  } catch (error) {
    return [warning('nodes', `could not be asked: ${tell(error).message}`, 'start Kiln (kiln up), then run kiln doctor again')];
  }
  const store = checkStore(view);
  if (nodes.length === 0) return [store, warning('nodes', 'the cluster has none', 'start one: kiln up')];
  return [store, ...nodes.flatMap(checkNode)];
}

function checkStore({ state, detail = '', fix = '' }: StoreView): Check {
  switch (state) {
    case 'well':
      return ok('store', 'Redis answers, takes writes and has lost nothing');
    case 'away':
      return failedCheck('store', detail, 'see that Redis runs and that KILN_REDIS_URL is right');
    default:
      return failedCheck('store', detail, fix);
  }
}

function checkNode({ id, live, warnings }: NodeView): Check[] {
  if (!live) return [warning(id, 'has not been heard of for a while', 'start its agent again, or forget it if its machine is gone')];
  if (warnings.length === 0) return [ok(id, 'host rules are set; nothing to complain of')];
  return warnings.map((text) => warning(id, text, 'give its agent what it lacks, and start it again'));
}
