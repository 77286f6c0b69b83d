import { z } from 'zod';
import { functionConfigInput } from '../config/function-config.js';
import { imageKind } from '../kinds.js';
import { functionName, nodeId, projectName, sourceDigest, versionNumber } from '../names.js';
import { deploymentRecord } from '../records/deployment.js';
import { functionRecord, keyRecord, nodeRecord, scope, versionMessage, versionRecord } from '../records/records.js';
import { traffic } from '../records/traffic.js';
import { buildArgsQuery } from './build-args.js';

/** Where a deployment comes from, as its sender says: remembered, so that the same need not be sent again. */
const origin = z.strictObject({ sourceDigest: sourceDigest.optional(), project: projectName.optional() });
export type Origin = z.infer<typeof origin>;

/** `none`: the version is proved ready and gets no traffic yet. */
const newTraffic = z.literal('none', 'must be "none", or be left out').optional();

/** `POST /v1/functions/:name/versions` */
export const createVersionBody = z
  .strictObject({
    /** A reference or digest that the nodes can reach. */
    image: z
      .string()
      .max(512)
      .regex(/^[a-z0-9][A-Za-z0-9._\-/:@]*$/, 'must be an image reference'),
    config: functionConfigInput.optional(),
    message: versionMessage.optional(),
    traffic: newTraffic,
    ...origin.shape,
  })
  .meta({ id: 'CreateVersion' });

/** `PATCH /v1/functions/:name`: a new version with the same image and these keys changed. */
export const patchFunctionBody = z
  .strictObject({ config: functionConfigInput, message: versionMessage.optional(), traffic: newTraffic })
  .meta({ id: 'PatchFunction' });

/** Query of `POST /v1/functions/:name/builds` */
export const buildQuery = z.strictObject({
  message: versionMessage.optional(),
  traffic: newTraffic,
  buildArgs: buildArgsQuery.optional(),
  ...origin.shape,
});

/** `PUT /v1/functions/:name/traffic` */
export const putTrafficBody = traffic;

/** Query of the same: whether clients keep the version that they met first; left out, that stays as it is. */
export const putTrafficQuery = z.strictObject({ sticky: z.enum(['true', 'false'], 'must be true or false').optional() });

/** `POST /v1/functions/:name/rollback`: to the traffic before the last change, or all to one version. */
export const rollbackBody = z.strictObject({ version: versionNumber.optional() }).meta({ id: 'Rollback' });

/** Shown in lists and in the history of versions. */
const keyName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u, 'must be one line without control characters');

/** `POST /v1/keys` */
export const createKeyBody = z.strictObject({ name: keyName, scopes: z.array(scope).min(1).max(4) }).meta({ id: 'CreateKey' });

/** Named one by one: what a later version stores with a key may be as secret as its hash. */
export const keyView = z
  .object({ ...keyRecord.pick({ id: true, name: true, createdAt: true }).shape, scopes: z.array(scope) })
  .meta({ id: 'Key' });
export type KeyView = z.infer<typeof keyView>;

/** Only the answer to the making of a key holds the key. */
export const createdKey = keyView.extend({ apiKey: z.string() }).meta({ id: 'CreatedKey' });
export type CreatedKey = z.infer<typeof createdKey>;

/** A function as the API shows it: the record, its address and the versions that get traffic. */
export const functionView = functionRecord.extend({ url: z.string(), home: z.string().nullable() }).meta({ id: 'FunctionView' });
export type FunctionView = z.infer<typeof functionView>;

export const nodeView = nodeRecord.extend({ live: z.boolean() }).meta({ id: 'NodeView' });
export type NodeView = z.infer<typeof nodeView>;

/** `GET /v1/store` */
export const storeView = z
  .object({
    /** `lost`: it lacks what was known; `refuses-writes`: it can be read only. */
    state: z.enum(['well', 'away', 'refuses-writes', 'lost']),
    detail: z.string().optional(),
    fix: z.string().optional(),
    /** What this router could write back; null where it has never read the store. */
    holds: z.object({ functions: z.int(), versions: z.int(), keys: z.int(), secrets: z.int(), secretValues: z.boolean() }).nullable(),
  })
  .meta({ id: 'Store' });
export type StoreView = z.infer<typeof storeView>;

/** `GET /v1/ring`: who is on it, and where each function goes, home first. */
export const ringView = z
  .object({
    nodes: z.array(z.object({ id: nodeId, weight: z.number() })),
    functions: z.array(z.object({ name: functionName, nodes: z.array(nodeId) })),
  })
  .meta({ id: 'Ring' });
export type RingView = z.infer<typeof ringView>;

/** What a deployment answers when it is done. */
export const deployed = z
  .object({
    function: functionName,
    version: versionNumber,
    digest: z.string(),
    url: z.string(),
    /** False where image and configuration are those that serve already. */
    changed: z.boolean(),
    buildMs: z.number().optional(),
    readyMs: z.number().optional(),
    /** The traffic has moved all the same; what was not done beside it, and what to do. */
    warning: z.string().optional(),
    /** Command that undoes it; absent for a first version. */
    rollback: z.string().optional(),
  })
  .meta({ id: 'Deployed' });
export type Deployed = z.infer<typeof deployed>;

type LogOrFailure = { type: 'log'; line: string } | { type: 'failed'; code: string; detail: string; fix?: string };

/** Lines of `POST /v1/functions/:name/builds`, one JSON object each. */
export type BuildLine = LogOrFailure | ({ type: 'done' } & Deployed);

/** A page of a list; `next` is given back as `?after=` for the page behind it. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

/** Whether the image of a version is gone from its nodes, and no registry has it. */
export const versionImage = z.object({ lost: z.boolean() }).meta({ id: 'VersionImage' });
export type VersionImage = z.infer<typeof versionImage>;

/** Page of `GET /v1/functions/:name/versions`, with the deployments that are under way or failed, newest first. */
export const versionsPage = z.object({
  items: z.array(versionRecord),
  next: z.string().nullable(),
  /** Absent where the store is away: they are kept nowhere else. */
  deployments: z.array(deploymentRecord).optional(),
});
export type VersionsPage = z.infer<typeof versionsPage>;

/** What a router tells a node before a version gets the traffic of others. */
export const warmQuery = z.object({
  function: functionName,
  version: z.coerce.number().pipe(versionNumber),
  /** The others, as `3,7`. */
  serving: z
    .string()
    .max(2000)
    .transform((text) => text.split(',').map(Number))
    .pipe(z.array(versionNumber).max(100)),
});

/** Lines that an agent answers to a build sent by a router: the image, not yet a version. */
export const builtImage = z.object({ image: z.string(), digest: z.string(), kind: imageKind, config: functionConfigInput });
export type BuiltImage = z.infer<typeof builtImage>;

export type AgentBuildLine = LogOrFailure | ({ type: 'built' } & BuiltImage);
