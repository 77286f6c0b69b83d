import { z } from 'zod';
import { storedConfig } from '../config/function-config.js';
import { imageKind } from '../kinds.js';
import { functionName, nodeId, projectName, sourceDigest, versionNumber } from '../names.js';
import { recordSchema, stored } from '../stored.js';
import { rolloutRecord } from './rollout.js';
import { secretRevisions } from './secrets.js';
import { storedShare } from './traffic.js';

const time = z.iso.datetime();

export const functionRecord = stored({
  ...recordSchema,
  name: functionName,
  /** Counts every change; a write with an older one is a conflict. */
  revision: z.int(),
  lastVersion: z.int().min(0),
  /** Empty until the first version is ready. */
  traffic: z.array(storedShare),
  /** What `rollback` returns to. */
  previousTraffic: z.array(storedShare),
  /** A client keeps, by a cookie, the version that it met first, as long as that has weight. */
  sticky: z.boolean().default(false),
  /** The last one, running or ended. */
  rollout: rolloutRecord.optional(),
  /** The project that deployed it last, where one was named: only that one prunes it. */
  project: projectName.optional(),
  createdAt: time,
  updatedAt: time,
}).meta({ id: 'Function' });
export type FunctionRecord = z.infer<typeof functionRecord>;

/** Why a version was made, in its maker's words: one line. */
export const versionMessage = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}]*$/u, 'must be one line without control characters');

/** An error as it is kept. */
const told = { code: z.string(), detail: z.string(), fix: z.string().optional() };

export const versionRecord = stored({
  ...recordSchema,
  function: functionName,
  version: versionNumber,
  /** What a node runs: an image id of its engine, or a registry reference pinned by digest. */
  image: z.string().min(1).max(512),
  digest: z.string(),
  /** Of the sources that it was made from, as their sender counted it; absent where nobody said. */
  sourceDigest: sourceDigest.optional(),
  kind: imageKind,
  config: storedConfig,
  /** For good: a secret that changes makes a new version. Absent where it uses none. */
  secretRevisions: secretRevisions.optional(),
  state: z.enum(['pending', 'ready', 'failed']),
  /** Why it failed; `fix` is absent in what an older version of Kiln wrote. */
  failure: stored(told).optional(),
  /** The node that proves the version ready. */
  provingNode: nodeId,
  /** Why the last node that could not try did not: says nothing of the version, which is pending. */
  refusal: stored({ node: nodeId, ...told }).optional(),
  createdAt: time,
  /** Name of the API key with which it was deployed. Records of before have none. */
  createdBy: z.string().max(100).optional(),
  message: versionMessage.optional(),
  /** Kept however old it is. */
  pinned: z.boolean().optional(),
}).meta({ id: 'Version' });
export type VersionRecord = z.infer<typeof versionRecord>;

/** What an agent says of its node, about once a second. */
export const nodeRecord = stored({
  id: nodeId,
  /** Base URLs as the routers reach them. */
  dataUrl: z.url(),
  controlUrl: z.url(),
  /** Capacity relative to other nodes: share of functions at home here. */
  weight: z.number().positive(),
  cores: z.int().min(1),
  /** MB that instances may be promised, and that are. */
  memory: z.number(),
  memoryPromised: z.number(),
  /** In busy instances, as the header LOAD. */
  load: z.number(),
  instances: z.int(),
  draining: z.boolean(),
  /** Made anew at each start of the agent: tells a restarted node from an old message. */
  epoch: z.string(),
  /** Counts up with each heartbeat of an epoch. */
  beat: z.int(),
  startedAt: time,
  /** What is not as it should be on this node, a sentence each: host rules that could not be set, a missing limit. */
  warnings: z.array(z.string()).default([]),
  /** Ids of the master keys that it has. */
  masterKeys: z.array(z.string()).optional(),
  /** It tells routers when a request waits: without a word of it the function's time runs. */
  tellsWaiting: z.boolean().optional(),
  /** Versions of the wire that it speaks; where it says nothing, the first. */
  wire: z.array(z.int().min(1)).optional(),
}).meta({ id: 'Node' });
export type NodeRecord = z.infer<typeof nodeRecord>;

export const instanceRecord = stored({
  id: z.string(),
  function: functionName,
  version: versionNumber,
  node: nodeId,
  state: z.string(),
  leases: z.int(),
  startedAt: time,
}).meta({ id: 'Instance' });
export type InstanceRecord = z.infer<typeof instanceRecord>;

export const scope = z.enum(['admin', 'deploy', 'read', 'invoke']);
export type Scope = z.infer<typeof scope>;

/** A stored API key. The key itself is shown once, when made; `hash` is its SHA-256 in hex and never leaves the store. */
export const keyRecord = stored({
  id: z.string(),
  name: z.string(),
  /** Scopes that this version of Kiln does not know grant nothing here, and are kept where the key is stored. */
  scopes: z.array(z.string()).transform((names) => names.filter((name): name is Scope => scope.safeParse(name).success)),
  hash: z.string(),
  createdAt: time,
});
export type KeyRecord = z.infer<typeof keyRecord>;

export const logLevelName = z.enum(['debug', 'info', 'warn', 'error']);

export const logRecord = stored({
  time,
  function: functionName,
  version: versionNumber,
  node: nodeId,
  instance: z.string(),
  /** Absent where a line can't be told from other requests in the same instance. */
  requestId: z.string().optional(),
  /** One that a later version made up is shown, and not lost. */
  level: logLevelName.catch('info'),
  message: z.string(),
}).meta({ id: 'LogRecord' });
export type LogRecord = z.infer<typeof logRecord>;
