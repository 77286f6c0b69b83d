import type { FunctionView } from '@kiln/contract/api/control-api';
import type { InstanceRecord } from '@kiln/contract/records/records';
import type { Command } from 'commander';
import { dataCommand, examples, type Session } from '../../command.js';
import { connect } from '../../connection.js';
import { requireFunctionName } from '../../function-reference.js';
import { type OutputOptions, print } from '../../output/print.js';
import { paintState } from '../../output/style.js';
import { pairs, table } from '../../output/table.js';
import { age, shortDigest } from '../../output/units.js';
import { rolloutText } from '../../rollout/rollout-text.js';
import { variablesTable } from '../../variables/variables-table.js';
import { type HistoryEntry, historyOf } from '../../versions/history.js';
import { servingVersion } from '../../versions/serving-version.js';
import { trafficText } from '../../versions/traffic-text.js';

interface Inspected extends FunctionView {
  /** Newest first, as kiln versions has them. */
  versions: HistoryEntry[];
  instances: InstanceRecord[];
}

export function inspectCommand(session: Session): Command {
  return dataCommand('inspect', session)
    .summary('show a function with its versions and instances')
    .description(
      'Shows everything about one function: address, traffic, versions with their configuration, variables, running instances.\n' +
        'Of secrets only the names.',
    )
    .argument('<name>', 'the function')
    .addHelpText(
      'after',
      examples([
        ['kiln inspect hello', 'a summary'],
        ['kiln inspect hello -o json', 'with every version and its configuration'],
      ]),
    )
    .action((name: string, options: OutputOptions) => inspect(session, requireFunctionName(name), options));
}

async function inspect(session: Session, name: string, options: OutputOptions): Promise<void> {
  const client = connect(session);
  const [view, versions, instances] = await Promise.all([client.functions.get(name), client.versions.list(name), client.instances(name)]);
  print(session.terminal, options, { ...view, versions: historyOf(versions, view.traffic), instances }, inspectedText);
}

function inspectedText(inspected: Inspected, columns?: number): string {
  const { name, url, traffic, sticky, rollout, home, createdAt, updatedAt, versions, instances } = inspected;
  const parts = [
    pairs(
      [
        ['function', name],
        ['url', url],
        ['traffic', sticky ? `${trafficText(traffic)}, sticky` : trafficText(traffic)],
        ...(rollout === undefined ? [] : [['rollout', rolloutText(rollout)] as const]),
        ['home', home ?? undefined],
        ['created', createdAt],
        ['changed', updatedAt],
      ],
      columns,
    ),
    table(
      ['version', 'state', 'kind', 'digest', 'age', 'memory', 'timeout', 'concurrency'],
      versions.map((version) => [
        `v${version.version}`,
        paintState(version.failure ? `${version.state}: ${version.failure.code}` : version.state),
        version.kind,
        shortDigest(version.digest),
        age(version.createdAt),
        `${version.config.memory} MB`,
        `${version.config.timeout} ms`,
        version.config.concurrency,
      ]),
      columns,
    ),
  ];
  const serving = servingVersion(inspected, versions);
  if (serving && Object.keys(serving.config.env).length + serving.config.secrets.length > 0) parts.push(variablesTable(serving, columns));
  if (instances.length > 0) parts.push(instanceTable(instances, columns));
  return parts.join('\n\n');
}

function instanceTable(instances: InstanceRecord[], columns?: number): string {
  return table(
    ['instance', 'version', 'node', 'state', 'leases', 'up'],
    instances.map(({ id, version, node, state, leases, startedAt }) => [
      id.slice(0, 12),
      `v${version}`,
      node,
      paintState(state),
      leases,
      age(startedAt),
    ]),
    columns,
  );
}
