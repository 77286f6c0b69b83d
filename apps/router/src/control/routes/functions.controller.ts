import type { Deployed, FunctionView, Page, VersionsPage } from '@kiln/contract/api/control-api';
import { createVersionBody, patchFunctionBody, putTrafficBody, putTrafficQuery, rollbackBody } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import type { FunctionConfigInput } from '@kiln/contract/config/function-config';
import { KilnError } from '@kiln/contract/errors';
import { functionName } from '@kiln/contract/names';
import type { DeploymentRecord } from '@kiln/contract/records/deployment';
import type { InstanceRecord } from '@kiln/contract/records/records';
import { startRolloutBody } from '@kiln/contract/records/rollout';
import type { Traffic } from '@kiln/contract/records/traffic';
import { DeploymentStore } from '@kiln/state/deployments/deployment-store';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { Body, Controller, Delete, Get, Headers, HttpCode, Inject, Param, Patch, Post, Put, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { Instances } from '../../agents/instances.js';
import { Deployments } from '../../deploy/deploy.js';
import { VersionSecrets } from '../../secrets/secrets.js';
import { rollback } from '../../traffic/rollback.js';
import { startRollout } from '../../traffic/start-rollout.js';
import { type PointerParts, putTraffic } from '../../traffic/traffic.js';
import { Announcer } from '../../view/announcer.js';
import { Catalog } from '../../view/catalog.js';
import { KeyTable } from '../../view/key-table.js';
import { pageOf } from '../http/page.js';
import { revisionOf } from '../http/revision.js';
import { callerGone } from '../http/send-lines.js';
import { FunctionViews } from './function-view.js';
import { noteOf } from './version-note.js';

// Here a configuration need only be an object: its keys are checked where its image's kind is known, which names the nearest key.
const anyConfig = z.record(z.string(), z.unknown());
const versionBody = createVersionBody.extend({ config: anyConfig.default({}) });
const patchBody = patchFunctionBody.extend({ config: anyConfig });

const name = (value: string): string => parse(functionName, value, 'name');

@Controller('v1/functions')
export class FunctionsController {
  private readonly pointers: PointerParts;

  constructor(
    @Inject(Catalog) private readonly catalog: Catalog,
    @Inject(FunctionStore) private readonly functions: FunctionStore,
    @Inject(Announcer) private readonly announcer: Announcer,
    @Inject(Deployments) private readonly deployments: Deployments,
    @Inject(Instances) private readonly instancesOf: Instances,
    @Inject(FunctionViews) private readonly views: FunctionViews,
    @Inject(VersionSecrets) private readonly secrets: VersionSecrets,
    @Inject(KeyTable) private readonly keys: KeyTable,
    @Inject(DeploymentStore) private readonly records: DeploymentStore,
  ) {
    this.pointers = { functions, announcer };
  }

  @Get()
  async list(@Query() query: unknown): Promise<Page<FunctionView>> {
    return pageOf(
      (await this.catalog.list()).map((entry) => this.views.of(entry.function)),
      (view) => view.name,
      query,
    );
  }

  @Get(':name')
  async get(@Param('name') of: string): Promise<FunctionView> {
    return this.views.of((await this.catalog.get(name(of))).function);
  }

  @Patch(':name')
  patch(
    @Param('name') of: string,
    @Body() body: unknown,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Deployed> {
    const { config, ...said } = parse(patchBody, body);
    const options = { ...noteOf(this.keys, reply, said), expectedRevision: revisionOf(ifMatch) };
    return this.deployments.reconfigure(name(of), config as FunctionConfigInput, callerGone(reply), options);
  }

  @Delete(':name')
  @HttpCode(204)
  async remove(@Param('name') of: string): Promise<void> {
    await this.functions.remove(name(of));
    await Promise.all([this.announcer.functionChanged(of), this.secrets.dropUnused()]);
  }

  @Get(':name/versions')
  async versions(@Param('name') of: string, @Query() query: unknown): Promise<VersionsPage> {
    const deployments = await reported(this.records, name(of));
    const versions = await this.catalog.get(of).then(
      (entry) => entry.versions,
      (error: unknown) => {
        // Its first deployment has made no version yet, or failed before it did.
        if (deployments === undefined || deployments.length === 0) throw error;
        return [];
      },
    );
    return { ...pageOf(versions, ({ version }) => version, query), ...(deployments && { deployments }) };
  }

  @Post(':name/versions')
  deploy(@Param('name') of: string, @Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<Deployed> {
    const { image, config, ...said } = parse(versionBody, body);
    const note = noteOf(this.keys, reply, said);
    return this.deployments.fromImage(name(of), image, config as FunctionConfigInput, callerGone(reply), note);
  }

  @Get(':name/traffic')
  async traffic(@Param('name') of: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<Traffic> {
    const { traffic, revision } = (await this.catalog.get(name(of))).function;
    void reply.header('etag', `"${revision}"`);
    return traffic;
  }

  @Put(':name/traffic')
  async putTraffic(
    @Param('name') of: string,
    @Body() body: unknown,
    @Query() query: unknown,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Traffic> {
    const wanted = parse(putTrafficBody, body, 'traffic');
    const { sticky } = parse(putTrafficQuery, query, 'query');
    const expectedRevision = revisionOf(ifMatch);
    const { traffic, revision } = await putTraffic(this.pointers, name(of), wanted, {
      ...(expectedRevision !== undefined && { expectedRevision }),
      ...(sticky !== undefined && { sticky: sticky === 'true' }),
    });
    void reply.header('etag', `"${revision}"`);
    return traffic;
  }

  @Post(':name/rollback')
  @HttpCode(200)
  async rollback(@Param('name') of: string, @Body() body: unknown): Promise<FunctionView> {
    return this.views.of(await rollback(this.pointers, name(of), parse(rollbackBody, body ?? {}).version));
  }

  @Post(':name/rollout')
  @HttpCode(200)
  async rollout(
    @Param('name') of: string,
    @Body() body: unknown,
    @Headers('authorization') authorization: string | undefined,
  ): Promise<FunctionView> {
    const startedBy = this.keys.holder(authorization)?.name;
    return this.views.of(await startRollout(this.pointers, name(of), parse(startRolloutBody, body), startedBy));
  }

  @Get(':name/instances')
  async instances(@Param('name') of: string, @Query() query: unknown): Promise<Page<InstanceRecord>> {
    await this.catalog.get(name(of));
    return pageOf(await this.instancesOf.list(of), ({ id }) => id, query);
  }
}

/** Those under way, and those that failed; undefined while the store is away. */
async function reported(records: DeploymentStore, name: string): Promise<DeploymentRecord[] | undefined> {
  try {
    return (await records.list(name)).filter(({ state }) => state !== 'done');
  } catch (error) {
    if (error instanceof KilnError && error.code === 'unavailable') return undefined;
    throw error;
  }
}
