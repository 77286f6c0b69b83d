import type { FunctionView } from '@kiln/contract/api/control-api';
import type { InstanceRecord } from '@kiln/contract/records/records';
import { dataCommand, type KilnCommand, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { requireFunctionName } from '../../function-reference.js';
import { type OutputOptions, print } from '../../output/print.js';
import { paintState } from '../../output/style.js';
import { pairs, tableOf } from '../../output/table.js';
import { age, shortDigest } from '../../output/units.js';
import { rolloutText } from '../../rollout/rollout-text.js';
import { variablesTable } from '../../variables/variables-table.js';
import { type HistoryEntry, historyOf } from '../../versions/history.js';
import { servingVersion } from '../../versions/serving-version.js';
import { trafficText } from '../../versions/traffic-text.js';

interface Inspected extends FunctionView {
  /** Newest first, as in kiln versions. */
  versions: HistoryEntry[];
  instances: InstanceRecord[];
}

export function inspectCommand(session: Session): KilnCommand {
  return dataCommand('inspect', session)
    .summary('show a function with its versions and instances')
    .description(
      'Shows everything about one function: address, traffic, versions with their configuration, variables, running instances.\n' +
        'Secrets are shown by name only.',
    )
    .argument('<name>', 'the function', requireFunctionName)
    .examples(['kiln inspect hello', 'a summary'], ['kiln inspect hello -o json', 'with every version and its configuration'])
    .action(async (name: string, options: OutputOptions) => {
      const client = connect(session);
      const asked = [client.functions.get(name), client.versions.list(name), client.instances(name)] as const;
      const [view, versions, instances] = await Promise.all(asked);
      print(session.terminal, options, { ...view, versions: historyOf(versions, view.traffic), instances }, inspectedText);
    });
}

function inspectedText(inspected: Inspected, columns?: number): string {
  const { name, url, traffic, sticky, rollout, home, createdAt, updatedAt, versions, instances } = inspected;
  const summary: Parameters<typeof pairs>[0] = [
    ['function', name],
    ['url', url],
    ['traffic', sticky ? `${trafficText(traffic)}, sticky` : trafficText(traffic)],
    ...(rollout === undefined ? [] : [['rollout', rolloutText(rollout)] as const]),
    ['home', home ?? undefined],
    ['created', createdAt],
    ['changed', updatedAt],
  ];
  const parts = [pairs(summary, columns), versionTable(versions, columns)];
  const serving = servingVersion(inspected, versions);
  if (serving && Object.keys(serving.config.env).length + serving.config.secrets.length > 0) parts.push(variablesTable(serving, columns));
  if (instances.length > 0) parts.push(instanceTable(instances, columns));
  return parts.join('\n\n');
}

const instanceTable = tableOf(
  ['instance', 'version', 'node', 'state', 'leases', 'up'],
  ({ id, version, node, state, leases, startedAt }: InstanceRecord) => {
    return [id.slice(0, 12), `v${version}`, node, paintState(state), leases, age(startedAt)];
  },
);

const versionTable = tableOf(
  ['version', 'state', 'kind', 'digest', 'age', 'memory', 'timeout', 'concurrency'],
  ({ version, state, failure, kind, digest, createdAt, config }: HistoryEntry) => [
    `v${version}`,
    paintState(failure ? `${state}: ${failure.code}` : state),
    kind,
    shortDigest(digest),
    age(createdAt),
    `${config.memory} MB`,
    `${config.timeout} ms`,
    config.concurrency,
  ],
);
