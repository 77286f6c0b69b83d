import type { NodeView } from '@kiln/contract/control-api';
import type { Session } from '../command.js';
import { connect } from '../connection.js';
import { tell } from '../failure.js';
import { type Check, ok, warning } from './check.js';

/** What the nodes say of themselves, host rules among it: only they can see it. */
export async function checkCluster(session: Session): Promise<Check[]> {
  let nodes: NodeView[];
  try {
    nodes = await connect(session).nodes.list();
  } catch (error) {
    return [warning('nodes', `could not be asked: ${tell(error).message}`, 'start Kiln (kiln up), then run kiln doctor again')];
  }
  if (nodes.length === 0) return [warning('nodes', 'the cluster has none', 'start one: kiln up')];
  return nodes.flatMap(checkNode);
}

function checkNode({ id, live, warnings }: NodeView): Check[] {
  if (!live) return [warning(id, 'has not been heard of for a while', 'start its agent again, or forget it if its machine is gone')];
  if (warnings.length === 0) return [ok(id, 'host rules are set; nothing to complain of')];
  return warnings.map((text) => warning(id, text, 'give its agent what it lacks, and start it again'));
}
