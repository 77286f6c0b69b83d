import { type CreatedKey, createKeyBody, type KeyView, type Page } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { Keys } from '../../cluster/api-keys.js';
import { pageOf } from '../http/page.js';

const keyId = z.string().regex(/^[A-Za-z0-9]{1,64}$/, 'must be letters and digits');

@Controller('v1/keys')
export class KeysController {
  constructor(@Inject(Keys) private readonly keys: Keys) {}

  @Get()
  list(@Query() query: unknown): Page<KeyView> {
    return pageOf(this.keys.list(), ({ id }) => id, query);
  }

  @Post()
  create(@Body() body: unknown): Promise<CreatedKey> {
    const { name, scopes } = parse(createKeyBody, body);
    return this.keys.create(name, scopes);
  }

  @Delete(':id')
  @HttpCode(204)
  remove(@Param('id') id: string): Promise<void> {
    return this.keys.remove(parse(keyId, id, 'id'));
  }
}
