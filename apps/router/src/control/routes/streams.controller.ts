import { Readable } from 'node:stream';
import { buildSecretsHeader } from '@kiln/contract/api/build-secrets';
import { buildQuery, deployed } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { ERRORS, KilnError } from '@kiln/contract/errors';
import { functionName } from '@kiln/contract/names';
import { logLevelName, logRecord } from '@kiln/contract/records/records';
import { BUILD_SECRETS } from '@kiln/contract/wire/headers';
import { discard, MAX_SOURCE_BYTES, tooLarge } from '@kiln/forward/exchange/upload';
import { LimitedPlaces } from '@kiln/service/limited-places';
import { LogStore } from '@kiln/state/logs/log-store';
import { Body, Controller, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { Deployments } from '../../deploy/deploy.js';
import { RouterLifecycle } from '../../lifecycle.js';
import { logLines } from '../../logs/log-lines.js';
import { Catalog } from '../../view/catalog.js';
import { KeyTable } from '../../view/key-table.js';
import { Route } from '../http/routes.js';
import { callerGone, sendLines } from '../http/send-lines.js';
import { noteOf } from './version-note.js';

/** An upload that is refused should be refused with a status, so its first line is waited for. */
const BUILD_HEAD_MS = 15_000;
const LOG_HEAD_MS = 250;
/** Sources that this router receives at once, and those with one key. */
const MAX_UPLOADS = 32;
const MAX_UPLOADS_PER_KEY = 16;

const flag = z
  .enum(['', 'true', '1', 'false', '0'], 'must be true or false')
  .default('false')
  .transform((value) => value === '' || value === 'true' || value === '1');

const logQuery = z.strictObject({
  follow: flag,
  since: z.iso.datetime({ offset: true, error: 'must be an ISO 8601 time, as 2030-01-31T12:00:00Z' }).optional(),
  requestId: z.string().min(1).max(128).optional(),
  level: logLevelName.optional(),
});

@Controller()
export class StreamsController {
  private readonly uploads = new LimitedPlaces('uploads', MAX_UPLOADS, MAX_UPLOADS_PER_KEY);

  constructor(
    @Inject(Deployments) private readonly deployments: Deployments,
    @Inject(Catalog) private readonly catalog: Catalog,
    @Inject(LogStore) private readonly logs: LogStore,
    @Inject(RouterLifecycle) private readonly lifecycle: RouterLifecycle,
    @Inject(KeyTable) private readonly keys: KeyTable,
  ) {}

  @Route('POST', '/v1/functions/:name/builds', 'deploy', 'Build and deploy a folder', {
    body: 'gzip tar',
    query: {
      message: 'why, in one line: shown in the history of versions',
      traffic: 'none: it gets no traffic yet',
      sourceDigest: 'sha256 of what is sent, as the sender counts it; remembered with the version',
      project: 'what the function belongs to',
      buildArgs: 'a JSON object of build arguments, by name; they stay readable in the image',
    },
    headers: { [BUILD_SECRETS]: 'id=base64,…: contents for steps that mount a secret of that id; nothing keeps them' },
    answerType: 'application/x-ndjson',
    answer: z.union([
      z.object({ type: z.literal('log'), line: z.string() }),
      deployed.extend({ type: z.literal('done') }),
      z.object({ type: z.literal('failed'), code: z.string(), detail: z.string(), fix: z.string().optional() }),
    ]),
  })
  async build(@Param('name') name: string, @Body() body: unknown, @Query() query: unknown, @Res() reply: FastifyReply): Promise<void> {
    const source = sourceOf(body);
    const { 'content-length': length, [BUILD_SECRETS]: header } = reply.request.headers;
    // A refusal may come while the caller still sends. Were the connection closed behind it, as callers may ask for, what they
    // send next would be answered with a reset, which can overtake the refusal. They close it themselves when they have read it.
    reply.raw.shouldKeepAlive = true;
    const lines = this.buildLines(source, length, () => {
      this.receiving(reply, source);
      const { buildArgs, ...said } = parse(buildQuery, query, 'query');
      const secrets = header === undefined ? {} : parse(buildSecretsHeader, header, BUILD_SECRETS);
      const note = noteOf(this.keys, reply, said);
      return this.deployments.fromSource(parse(functionName, name, 'name'), source, callerGone(reply), note, { buildArgs, secrets });
    });
    await sendLines(reply, lines, {
      headWithinMs: BUILD_HEAD_MS,
      failed,
      stillReceiving: () => !source.readableEnded && !source.destroyed,
    });
  }

  @Route('GET', '/v1/functions/:name/logs', 'read', 'Read the log lines', {
    query: {
      follow: 'go on with new lines',
      since: 'only lines from then on, ISO 8601',
      requestId: 'only lines of this request',
      level: 'this level or above: debug, info, warn, error',
    },
    answerType: 'application/x-ndjson',
    answer: logRecord,
  })
  async read(@Param('name') name: string, @Query() query: unknown, @Res() reply: FastifyReply): Promise<void> {
    const { function: record } = await this.catalog.get(parse(functionName, name, 'name'));
    const request = parse(logQuery, query, 'query');
    const signal = AbortSignal.any([callerGone(reply), this.lifecycle.draining]);
    await sendLines(reply, logLines(this.logs, record.name, request, signal), { headWithinMs: LOG_HEAD_MS, failed });
  }

  /** As long as the source comes it has one of the places that uploads share. */
  private receiving(reply: FastifyReply, source: Readable): void {
    const holder = this.keys.holder(reply.request.headers.authorization);
    const leave = this.uploads.take(holder?.id ?? '');
    source.once('end', leave).once('close', leave);
    if (source.destroyed) leave();
  }

  private async *buildLines(source: Readable, length: string | undefined, deploy: () => AsyncGenerator<object>): AsyncGenerator<object> {
    try {
      // Before anything is read, where the caller says how much it is going to send.
      if (Number(length ?? 0) > MAX_SOURCE_BYTES) throw tooLarge();
      yield* deploy();
    } finally {
      discard(source);
    }
  }
}

function sourceOf(body: unknown): Readable {
  if (body instanceof Readable) return body;
  throw new KilnError('bad_request', 'the body must be a gzip tar', { fix: 'send it with "content-type: application/gzip"' });
}

/** The last line of an answer that had begun. */
function failed(error: unknown): object {
  const known = error instanceof KilnError ? error : new KilnError('internal', ERRORS.internal.title, { cause: error });
  return { type: 'failed', code: known.code, detail: known.message, fix: known.fix };
}
