import type { FunctionView, NodeView, StoreView } from '@kiln/contract/api/control-api';
import type { Session } from '../command.js';
import { connect } from '../connection.js';
import { tell } from '../failure.js';
import { type Check, failedCheck, ok, warning } from './check.js';
import { checkImages } from './check-images.js';

/** Checks the store, the nodes and the images of functions. Only a node can check its own host rules. */
export async function checkCluster(session: Session): Promise<Check[]> {
  const client = connect(session);
  let answers: [NodeView[], StoreView, FunctionView[]];
  try {
    answers = await Promise.all([client.nodes.list(), client.store.get(), client.functions.list()]);
  } catch (error) {
    return [warning('nodes', `no answer: ${tell(error).message}`, 'start Kiln (kiln up), then run kiln doctor again')];
  }
  const [nodes, view, functions] = answers;
  const store = checkStore(view);
  if (nodes.length === 0) return [store, warning('nodes', 'the cluster has no nodes', 'start one: kiln up')];
  return [store, ...nodes.flatMap(checkNode), ...(await checkImages(client, functions))];
}

function checkStore({ state, detail = '', fix = '' }: StoreView): Check {
  if (state === 'well') return ok('store', 'Redis answers, takes writes and has lost nothing');
  return failedCheck('store', detail, state === 'away' ? 'see that Redis runs and that KILN_REDIS_URL is right' : fix);
}

function checkNode({ id, live, warnings }: NodeView): Check[] {
  if (!live) return [warning(id, 'has sent no heartbeat for a while', 'restart its agent, or ignore this if its machine is gone')];
  if (warnings.length === 0) return [ok(id, 'host rules are set; no warnings')];
  return warnings.map((text) => warning(id, text, ownRemedy(text) ?? 'give its agent what it lacks, and restart it'));
}

/** The command at the end of a warning. */
function ownRemedy(text: string): string | undefined {
  return /\((kiln [^)]+)\)$/.exec(text)?.[1];
}
