import type { DeploymentRecord } from '@kiln/contract/records/deployment';
import type { VersionRecord } from '@kiln/contract/records/records';
import type { Traffic } from '@kiln/contract/records/traffic';
import { paintState } from '../output/style.js';
import { tableOf } from '../output/table.js';
import { age, shortDigest } from '../output/units.js';
import { type ConfigChange, configChanges } from './config-changes.js';

/** A version with its traffic and its changes. */
export interface HistoryEntry extends VersionRecord {
  weight: number;
  /** Compared with the version before; empty for the oldest kept version. */
  changes: ConfigChange[];
}

/** The history of a function, newest version first. */
export function historyOf(versions: readonly VersionRecord[], traffic: Traffic): HistoryEntry[] {
  const weights = new Map(traffic.map(({ version, weight }) => [version, weight]));
  const inOrder = versions.toSorted((a, b) => a.version - b.version);
  const history = inOrder.map((record, i) => {
    const before = inOrder[i - 1] ?? record;
    return { ...record, weight: weights.get(record.version) ?? 0, changes: configChanges(before.config, record.config) };
  });
  return history.reverse();
}

/** The newest deployment of each version that is under way or failed; those without a version stand at the end. */
export function withDeployments(history: readonly HistoryEntry[], deployments: readonly DeploymentRecord[]): object[] {
  const withoutVersion = deployments.filter(({ version }) => version === undefined);
  return [
    ...history.map((entry) => ({ ...entry, deployment: deployments.find(({ version }) => version === entry.version) })),
    ...withoutVersion.map((deployment) => ({ function: deployment.function, state: deployment.state, deployment })),
  ];
}

export const historyText = tableOf(
  ['version', 'state', 'traffic', 'age', 'by', 'digest', 'message', 'changed configuration'],
  (entry: HistoryEntry) => [
    `v${entry.version}`,
    paintState(stateText(entry)),
    entry.weight > 0 ? `${entry.weight} %` : undefined,
    age(entry.createdAt),
    entry.createdBy,
    shortDigest(entry.digest),
    entry.message,
    entry.changes.map(({ key, before, after }) => `${key} ${valueText(before)} > ${valueText(after)}`).join(', ') || undefined,
  ],
);

function stateText({ state, failure, pinned }: HistoryEntry): string {
  if (failure) return `${state}: ${failure.code}`;
  return pinned ? `${state}, pinned` : state;
}

const MAX_VALUE_CHARS = 40;

function valueText(value: unknown): string {
  if (value === undefined) return '(none)';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > MAX_VALUE_CHARS ? `${text.slice(0, MAX_VALUE_CHARS)}…` : text;
}
