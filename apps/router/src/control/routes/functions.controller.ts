import {
  createVersionBody,
  type Deployed,
  deployed,
  type FunctionView,
  functionView,
  type Page,
  patchFunctionBody,
  putTrafficBody,
  putTrafficQuery,
  rollbackBody,
  type VersionImage,
  type VersionsPage,
  versionImage,
  versionsPage,
} from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { functionName, versionNumber } from '@kiln/contract/names';
import { type InstanceRecord, instanceRecord, type VersionRecord, versionRecord } from '@kiln/contract/records/records';
import { startRolloutBody } from '@kiln/contract/records/rollout';
import { type Traffic, traffic } from '@kiln/contract/records/traffic';
import { DeploymentStore } from '@kiln/state/deployments/deployment-store';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { ifThere } from '@kiln/state/store/store';
import { Body, Controller, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AgentsClient } from '../../agents/agents-client.js';
import { instancesOf } from '../../agents/instances.js';
import { Deployments } from '../../deploy/deploy.js';
import { NodeTable } from '../../placement/node-table.js';
import { VersionSecrets } from '../../secrets/secrets.js';
import { type PointerParts, putTraffic, rollback, startRollout } from '../../traffic/traffic.js';
import { Announcer } from '../../view/announcer.js';
import { Catalog } from '../../view/catalog.js';
import { KeyTable } from '../../view/key-table.js';
import { pageOf, pages } from '../http/page.js';
import { revisionOf } from '../http/revision.js';
import { Route } from '../http/routes.js';
import { callerGone } from '../http/send-lines.js';
import { FunctionViews } from './function-view.js';
import { noteOf } from './version-note.js';

// Here a configuration need only be an object: its keys are checked where its image's kind is known, which names the nearest key.
const anyConfig = z.record(z.string(), z.unknown());
const versionBody = createVersionBody.extend({ config: anyConfig.default({}) });
const patchBody = patchFunctionBody.extend({ config: anyConfig });

/** Pinned versions of one function: each keeps its image for ever. */
const MAX_PINS = 50;

const name = (value: string): string => parse(functionName, value, 'name');

@Controller()
export class FunctionsController {
  private readonly pointers: PointerParts;

  constructor(
    @Inject(Catalog) private readonly catalog: Catalog,
    @Inject(FunctionStore) private readonly functions: FunctionStore,
    @Inject(Announcer) private readonly announcer: Announcer,
    @Inject(Deployments) private readonly deployments: Deployments,
    @Inject(NodeTable) private readonly nodes: NodeTable,
    @Inject(AgentsClient) private readonly agents: AgentsClient,
    @Inject(FunctionViews) private readonly views: FunctionViews,
    @Inject(VersionSecrets) private readonly secrets: VersionSecrets,
    @Inject(KeyTable) private readonly keys: KeyTable,
    @Inject(DeploymentStore) private readonly records: DeploymentStore,
  ) {
    this.pointers = { functions, announcer };
  }

  @Route('GET', '/v1/functions', 'read', 'List the functions', pages(functionView))
  async list(@Query() query: unknown): Promise<Page<FunctionView>> {
    return pageOf(
      (await this.catalog.list()).map((entry) => this.views.of(entry.function)),
      (view) => view.name,
      query,
    );
  }

  @Route('GET', '/v1/functions/:name', 'read', 'Show a function', { answer: functionView })
  async get(@Param('name') of: string): Promise<FunctionView> {
    return this.views.of((await this.catalog.get(name(of))).function);
  }

  @Route('PATCH', '/v1/functions/:name', 'deploy', 'Change keys of the configuration: a new version of the same image', {
    body: patchFunctionBody,
    answer: deployed,
  })
  patch(@Param('name') of: string, @Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<Deployed> {
    const { config, ...said } = parse(patchBody, body);
    const options = { ...noteOf(this.keys, reply, said), expectedRevision: revisionOf(reply.request.headers['if-match']) };
    return this.deployments.reconfigure(name(of), config as FunctionConfigInput, callerGone(reply), options);
  }

  @Route('DELETE', '/v1/functions/:name', 'deploy', 'Remove a function with its versions and logs', { status: 204 })
  async remove(@Param('name') of: string): Promise<void> {
    await this.functions.remove(name(of));
    await Promise.all([this.announcer.functionChanged(of), this.secrets.dropUnused()]);
  }

  @Route('GET', '/v1/functions/:name/versions', 'read', 'List the versions, and deployments under way or failed', {
    ...pages(versionRecord),
    answer: versionsPage,
  })
  async versions(@Param('name') of: string, @Query() query: unknown): Promise<VersionsPage> {
    const deployments = (await ifThere(this.records.list(name(of))))?.filter(({ state }) => state !== 'done');
    const versions = await this.catalog.get(of).then(
      (entry) => entry.versions,
      (error: unknown) => {
        // Its first deployment has made no version yet, or failed before it did.
        if (deployments === undefined || deployments.length === 0) throw error;
        return [];
      },
    );
    return { ...pageOf(versions, ({ version }) => version, query), deployments };
  }

  @Route('POST', '/v1/functions/:name/versions', 'deploy', 'Deploy an image', { body: createVersionBody, status: 201, answer: deployed })
  deploy(@Param('name') of: string, @Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<Deployed> {
    const { image, config, ...said } = parse(versionBody, body);
    const note = noteOf(this.keys, reply, said);
    return this.deployments.fromImage(name(of), image, config as FunctionConfigInput, callerGone(reply), note);
  }

  @Route('GET', '/v1/functions/:name/versions/:version/image', 'read', 'Show whether its image is gone from the nodes', {
    answer: versionImage,
  })
  async image(@Param('name') of: string, @Param('version') version: string): Promise<VersionImage> {
    const { versions } = await this.catalog.get(name(of));
    const number = parse(versionNumber, Number(version), 'version');
    const found = versions.find((each) => each.version === number);
    if (found === undefined) throw new KilnError('version_not_found', `"${of}" has no version ${number}`);
    return { lost: await this.deployments.isImageLost(found) };
  }

  @Route('PUT', '/v1/functions/:name/versions/:version/pin', 'deploy', 'Keep a version, however old it is', { answer: versionRecord })
  pin(@Param('name') of: string, @Param('version') version: string): Promise<VersionRecord> {
    return this.setPinned(of, version, true);
  }

  @Route('DELETE', '/v1/functions/:name/versions/:version/pin', 'deploy', 'Keep it no longer than others', { answer: versionRecord })
  unpin(@Param('name') of: string, @Param('version') version: string): Promise<VersionRecord> {
    return this.setPinned(of, version, false);
  }

  private async setPinned(of: string, version: string, pinned: boolean): Promise<VersionRecord> {
    const { versions } = await this.catalog.get(name(of));
    const number = parse(versionNumber, Number(version), 'version');
    const others = versions.filter((each) => each.pinned === true && each.version !== number).length;
    if (pinned && others >= MAX_PINS) {
      throw new KilnError('conflict', `${others} versions are pinned already, which is as many as there may be`, {
        fix: 'unpin one that is not needed',
      });
    }
    const record = await this.functions.pin(of, number, pinned);
    await this.announcer.functionChanged(of);
    return record;
  }

  @Route('GET', '/v1/functions/:name/traffic', 'read', 'Show the traffic; `etag` is the revision', { answer: traffic })
  async traffic(@Param('name') of: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<Traffic> {
    const { traffic, revision } = (await this.catalog.get(name(of))).function;
    void reply.header('etag', `"${revision}"`);
    return traffic;
  }

  @Route('PUT', '/v1/functions/:name/traffic', 'deploy', 'Move the traffic; with `if-match`, a conflict if it changed since', {
    query: { sticky: 'true or false: whether a client keeps the version that it met first; left out, that stays as it is' },
    body: traffic,
    answer: traffic,
  })
  async putTraffic(
    @Param('name') of: string,
    @Body() body: unknown,
    @Query() query: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Traffic> {
    const wanted = parse(putTrafficBody, body, 'traffic');
    const { sticky } = parse(putTrafficQuery, query, 'query');
    const options = { expectedRevision: revisionOf(reply.request.headers['if-match']), sticky: sticky && sticky === 'true' };
    const { traffic, revision } = await putTraffic(this.pointers, name(of), wanted, options);
    void reply.header('etag', `"${revision}"`);
    return traffic;
  }

  @Route('POST', '/v1/functions/:name/rollback', 'deploy', 'Go back to the traffic before, or all to one version', {
    body: rollbackBody,
    answer: functionView,
  })
  async rollback(@Param('name') of: string, @Body() body: unknown): Promise<FunctionView> {
    return this.views.of(await rollback(this.pointers, name(of), parse(rollbackBody, body ?? {}).version));
  }

  @Route('POST', '/v1/functions/:name/rollout', 'deploy', 'Give a version the traffic in stages, and take it back if it does worse', {
    body: startRolloutBody,
    answer: functionView,
  })
  async rollout(
    @Param('name') of: string,
    @Body() body: unknown,
    @Headers('authorization') authorization: string | undefined,
  ): Promise<FunctionView> {
    const startedBy = this.keys.holder(authorization)?.name;
    return this.views.of(await startRollout(this.pointers, name(of), parse(startRolloutBody, body), startedBy));
  }

  @Route('GET', '/v1/functions/:name/instances', 'read', 'List the running instances', { answer: pages(instanceRecord).answer })
  async instances(@Param('name') of: string, @Query() query: unknown): Promise<Page<InstanceRecord>> {
    await this.catalog.get(name(of));
    return pageOf(await instancesOf(this.nodes, this.agents, of), ({ id }) => id, query);
  }
}
