import type { Page } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { variableName } from '@kiln/contract/names';
import { type SecretRecord, type SecretsRotated, type SecretsSet, setSecretBody, setSecretsBody } from '@kiln/contract/records/secrets';
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Put, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Secrets } from '../../deploy/set-secrets.js';
import { KeyTable } from '../../view/key-table.js';
import { pageOf } from '../http/page.js';
import { callerGone } from '../http/send-lines.js';
import { noteOf } from './version-note.js';

const name = (value: string): string => parse(variableName, value, 'name');

@Controller('v1/secrets')
export class SecretsController {
  constructor(
    @Inject(Secrets) private readonly secrets: Secrets,
    @Inject(KeyTable) private readonly keys: KeyTable,
  ) {}

  @Get()
  async list(@Query() query: unknown): Promise<Page<SecretRecord>> {
    return pageOf(await this.secrets.list(), (secret) => secret.name, query);
  }

  @Put(':name')
  set(@Param('name') of: string, @Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<SecretsSet> {
    return this.secrets.set({ [name(of)]: parse(setSecretBody, body).value }, callerGone(reply), noteOf(this.keys, reply));
  }

  @Patch()
  setSeveral(@Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<SecretsSet> {
    return this.secrets.set(parse(setSecretsBody, body).values, callerGone(reply), noteOf(this.keys, reply));
  }

  @Delete(':name')
  @HttpCode(204)
  remove(@Param('name') of: string): Promise<void> {
    return this.secrets.remove(name(of));
  }

  @Post('rotate')
  @HttpCode(200)
  rotate(): Promise<SecretsRotated> {
    return this.secrets.rotate();
  }
}
