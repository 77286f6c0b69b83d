import { KilnError } from '@kiln/contract/errors';
import { functionName, nodeId, projectName, variableName, versionNumber } from '@kiln/contract/names';
import type { SecretRevision } from '@kiln/contract/records/secrets';
import { z } from 'zod';

/** Every Redis key in one place. A name from outside enters a key or a field only through here, checked. */
const PREFIX = 'kiln:';

/** Hash: function name to FunctionRecord. */
export const FUNCTIONS = `${PREFIX}functions`;
/** Hash: function name to the highest version number ever given, kept when the function is removed. */
export const NUMBERS = `${PREFIX}version-numbers`;
/** String: made at random, once, with the first use of the store; it says whose store this is and that it was not emptied. */
export const MARK = `${PREFIX}mark`;
/** Counter: every change of a function, version, secret or key adds one; it never goes down. */
export const CHANGES = `${PREFIX}function-changes`;
/** Stream: for each number that the counter had, which function was changed. Kiln of before the notes counts and notes nothing. */
export const CHANGE_NOTES = `${PREFIX}change-notes`;
/** Hash: mark and changes that a process knew and misses; there only while the store has lost something. */
export const LOST = `${PREFIX}lost`;
/** String: written from time to time, to see whether the store takes writes. */
export const WRITE_PROBE = `${PREFIX}write-probe`;
/** Hash: node id to NodeRecord. */
export const NODES = `${PREFIX}nodes`;
/** Sorted set: node ids by the time of their last heartbeat, in seconds. */
export const NODES_SEEN = `${PREFIX}nodes-seen`;
/** Hash: key id to KeyRecord. */
export const KEYS = `${PREFIX}keys`;
/** Hash: secret's name to SecretRecord. */
export const SECRETS = `${PREFIX}secrets`;
/** Hash: name and revision, as `NAME@3`, to SealedValue. */
export const SECRET_VALUES = `${PREFIX}secret-values`;
/** Hash: secret's name to the highest revision ever given, kept when the secret is removed. */
export const SECRET_NUMBERS = `${PREFIX}secret-numbers`;
/** MasterKeyRecord. */
export const MASTER_KEY = `${PREFIX}master-key`;
/** Start of the keys that exist while a node is alive; scripts append ids that were checked when they were stored. */
export const NODE_ALIVE_PREFIX = `${PREFIX}node-alive:`;

const KEY_ID = /^[A-Za-z0-9]{1,64}$/;

const checkedFunction = checker(functionName, "a function's name");
export const checkedNode = checker(nodeId, "a node's id");
export const checkedVersion = checker(versionNumber, "a version's number");
export const checkedSecret = checker(variableName, "a secret's name");
export const checkedKeyId = checker(z.string().regex(KEY_ID), "a key's id");
const checkedProject = checker(projectName, "a project's name");

function checker<T extends string | number>(schema: z.ZodType<T>, what: string): (value: T) => string {
  return (value) => {
    if (schema.safeParse(value).success) return String(value);
    throw new KilnError('bad_request', `${JSON.stringify(String(value).slice(0, 80))} can't be ${what}`);
  };
}

/** Hash: version number to VersionRecord. */
export const versionsKey = (name: string): string => `${PREFIX}versions:${checkedFunction(name)}`;

/** Hash: deployment's id to DeploymentRecord. */
export const deploymentsKey = (name: string): string => `${PREFIX}deployments:${checkedFunction(name)}`;
/** Sorted set: function and id of the deployments that are under way, by the end of their lease in ms. */
export const OPEN_DEPLOYMENTS = `${PREFIX}open-deployments`;

/** Start of the keys of logs; scripts append names of functions that were checked when they were stored. */
export const LOGS_PREFIX = `${PREFIX}logs:`;
/** Sorted set: functions by the bytes of their logs. */
export const LOG_SIZES = `${PREFIX}log-sizes`;
/** String: the bytes of all logs. */
export const LOG_TOTAL = `${PREFIX}log-total`;
/** Sorted set: functions by the time of the last line of their logs, in seconds. */
export const LOG_TIMES = `${PREFIX}log-times`;

/** Stream of LogRecords. */
export const logsKey = (name: string): string => `${LOGS_PREFIX}${checkedFunction(name)}`;

/** All that is kept of a function beside its numbers and secrets, in the order that `REMOVE_FUNCTION` expects. */
export const keysOfFunction = (name: string): string[] => [
  FUNCTIONS,
  versionsKey(name),
  logsKey(name),
  LOG_SIZES,
  LOG_TOTAL,
  LOG_TIMES,
  deploymentsKey(name),
  OPEN_DEPLOYMENTS,
];

/** String: the router that moves a function's rollout on, as long as it keeps saying so. */
export const rolloutLeaseKey = (name: string): string => `${PREFIX}rollout-lease:${checkedFunction(name)}`;

/** String: the push of a project whose turn it is, as long as its router keeps saying so. */
export const pushTurnKey = (project: string): string => `${PREFIX}push-turn:${checkedProject(project)}`;

/** Hash: router to what it counted in the stage of the rollout that is under way. */
export const rolloutCountsKey = (name: string): string => `${PREFIX}rollout-counts:${checkedFunction(name)}`;

/** Hash: node id to its instances of one version. */
export const slotsKey = (name: string, version: number): string => `${PREFIX}slots:${slotMember(name, version)}`;

/** Set: which slot hashes hold a count of this node. */
export const slotIndexKey = (node: string): string => `${PREFIX}slot-index:${checkedNode(node)}`;

/** Start of the keys of slot hashes; scripts append members of a slot index. */
export const SLOTS_PREFIX = `${PREFIX}slots:`;

export const slotMember = (name: string, version: number): string => `${checkedFunction(name)}:${checkedVersion(version)}`;

export const nodeAliveKey = (id: string): string => `${NODE_ALIVE_PREFIX}${checkedNode(id)}`;

export function isFunctionName(name: string): boolean {
  return functionName.safeParse(name).success;
}

/** Field of SECRET_VALUES. */
export const valueField = ({ name, revision }: SecretRevision): string => `${checkedSecret(name)}@${checkedVersion(revision)}`;

/** What a field of SECRET_VALUES stands for. */
export function revisionOfField(field: string): SecretRevision {
  const at = field.lastIndexOf('@');
  return { name: field.slice(0, at), revision: Number(field.slice(at + 1)) };
}
