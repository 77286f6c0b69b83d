import type { Page } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { variableName } from '@kiln/contract/names';
import {
  type SecretRecord,
  type SecretsRotated,
  type SecretsSet,
  secretRecord,
  secretsRotated,
  secretsSet,
  setSecretBody,
  setSecretsBody,
} from '@kiln/contract/records/secrets';
import { Body, Controller, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Secrets } from '../../deploy/set-secrets.js';
import { KeyTable } from '../../view/key-table.js';
import { pageOf, pages } from '../http/page.js';
import { Route } from '../http/routes.js';
import { callerGone } from '../http/send-lines.js';
import { noteOf } from './version-note.js';

const name = (value: string): string => parse(variableName, value, 'name');

@Controller()
export class SecretsController {
  constructor(
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(KeyTable) private readonly keys: KeyTable,
  ) {}

  @Route('GET', '/v1/secrets', 'read', 'List the secrets; never their values', pages(secretRecord))
  async list(@Query() query: unknown): Promise<Page<SecretRecord>> {
    return pageOf(await this.secrets.list(), (secret) => secret.name, query);
  }

  @Route('PUT', '/v1/secrets/:name', 'deploy', 'Store a secret, and give its functions a new version', {
    body: setSecretBody,
    answer: secretsSet,
  })
  set(@Param('name') of: string, @Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<SecretsSet> {
    return this.secrets.set({ [name(of)]: parse(setSecretBody, body).value }, callerGone(reply), noteOf(this.keys, reply));
  }

  @Route('PATCH', '/v1/secrets', 'deploy', 'Store several secrets in one change', { body: setSecretsBody, answer: secretsSet })
  setSeveral(@Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<SecretsSet> {
    return this.secrets.set(parse(setSecretsBody, body).values, callerGone(reply), noteOf(this.keys, reply));
  }

  @Route('DELETE', '/v1/secrets/:name', 'deploy', 'Remove a secret that no serving version uses', { status: 204 })
  remove(@Param('name') of: string): Promise<void> {
    return this.secrets.remove(name(of));
  }

  @Route('POST', '/v1/secrets/rotate', 'admin', 'Seal all values anew with the new master key', { answer: secretsRotated })
  rotate(): Promise<SecretsRotated> {
    return this.secrets.rotate();
  }
}
