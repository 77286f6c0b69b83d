import type { NodeView, StoreView } from '@kiln/contract/api/control-api';
import { KilnError } from '@kiln/contract/errors';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { connect, findCredentials } from '../../connection.js';
import { unless } from '../../failure.js';
import { type OutputOptions, print } from '../../output/print.js';
import { paintState } from '../../output/style.js';
import { pairs } from '../../output/table.js';
import { nodeTable, sayWarnings } from '../cluster/nodes.js';

const PROBE_TIMEOUT_MS = 5000;

interface Status {
  url: string;
  /** The address for `git push`, with a placeholder for the project's name. */
  git: string;
  /** `degraded`: Redis is away, and the router serves the functions that it holds in memory. */
  router: 'ready' | 'degraded' | 'starting' | 'draining' | 'unknown';
  redis: 'answers' | 'away' | 'refuses writes' | 'has lost data' | 'unknown';
  /** What is wrong with Redis and what to do; null when it is well. */
  redisTrouble: { detail: string; fix: string } | null;
  /** Null while the router cannot tell. */
  nodes: NodeView[] | null;
  functions: { total: number; serving: number } | null;
}

export function statusCommand(session: Session): KilnCommand {
  return dataCommand('status', session)
    .summary('show the state of router, Redis, nodes and functions')
    .description('Shows the state of the router, of Redis and of each node, and the number of functions.')
    .examples(['kiln status', 'a summary'], ['kiln status -o json | jq .redis', 'one of its fields'])
    .action(async (options: OutputOptions) => {
      const { url } = findCredentials(session);
      const client = connect(session);
      const router = await probe(url);
      const [nodes = null, functions, store] = await Promise.all([
        unless('unavailable', client.nodes.list()),
        unless('unavailable', client.functions.list()),
        client.store.get(),
      ]);
      const redis = router === 'starting' && store.state === 'well' ? 'unknown' : REDIS[store.state];
      const redisTrouble = store.fix === undefined ? null : { detail: store.detail ?? '', fix: store.fix };
      const git = new URL('/git/<project>.git', url).href.replace('%3Cproject%3E', '<project>');
      const serving = functions?.filter(({ traffic }) => traffic.length > 0).length ?? 0;
      const counts = functions === undefined ? null : { total: functions.length, serving };
      print<Status>(session.terminal, options, { url, git, router, redis, redisTrouble, nodes, functions: counts }, statusText);
      if (redisTrouble !== null) session.terminal.say(`redis: ${redisTrouble.detail}\nnext: ${session.terminal.hint(redisTrouble.fix)}`);
      sayWarnings(session, nodes ?? []);
    });
}

const ROUTER_STATES: readonly string[] = ['ready', 'degraded', 'starting', 'draining'] satisfies Status['router'][];

const REDIS: Record<StoreView['state'], Status['redis']> = {
  well: 'answers',
  away: 'away',
  'refuses-writes': 'refuses writes',
  lost: 'has lost data',
};

/** @throws KilnError `unavailable` when no router answers */
async function probe(url: string): Promise<Status['router']> {
  try {
    const answer = await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    const [state = ''] = (await answer.text()).split('\n', 1);
    return ROUTER_STATES.includes(state) ? (state as Status['router']) : 'unknown';
  } catch (error) {
    const { cause } = error as Error & { cause?: { code?: string } };
    const fix = 'start Kiln with kiln up, or set KILN_URL to where it runs';
    throw new KilnError('unavailable', `cannot connect to the control API at ${url}: ${cause?.code ?? (error as Error).message}`, { fix });
  }
}

function statusText({ url, git, router, redis, nodes, functions }: Status, columns?: number): string {
  const live = nodes?.filter((node) => node.live).length;
  const isWell = redis === 'answers' || redis === 'unknown';
  const summary: Parameters<typeof pairs>[0] = [
    ['router', `${paintState(router)} at ${url}`],
    ['redis', paintState(isWell ? redis : `${redis}: known functions are served, changes have to wait`)],
    ['nodes', nodes ? `${live} of ${nodes.length} live` : 'unknown'],
    ['functions', functions ? `${functions.total}, ${functions.serving} of them serving` : 'unknown'],
    ['git push', git],
  ];
  const shown = pairs(summary, columns);
  return nodes && nodes.length > 0 ? `${shown}\n\n${nodeTable(nodes, columns)}` : shown;
}
