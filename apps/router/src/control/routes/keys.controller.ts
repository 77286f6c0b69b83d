import { type CreatedKey, createdKey, createKeyBody, type KeyView, keyView, type Page } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { Body, Controller, Inject, Param, Query } from '@nestjs/common';
import { z } from 'zod';
import { Keys } from '../../cluster/api-keys.js';
import { pageOf, pages } from '../http/page.js';
import { Route } from '../http/routes.js';

const keyId = z.string().regex(/^[A-Za-z0-9]{1,64}$/, 'must be letters and digits');

@Controller()
export class KeysController {
  constructor(@Inject(Keys) private readonly keys: Keys) {}

  @Route('GET', '/v1/keys', 'admin', 'List the API keys', pages(keyView))
  list(@Query() query: unknown): Page<KeyView> {
    return pageOf(this.keys.list(), ({ id }) => id, query);
  }

  @Route('POST', '/v1/keys', 'admin', 'Make an API key; only this answer holds it', {
    body: createKeyBody,
    status: 201,
    answer: createdKey,
  })
  create(@Body() body: unknown): Promise<CreatedKey> {
    const { name, scopes } = parse(createKeyBody, body);
    return this.keys.create(name, scopes);
  }

  @Route('DELETE', '/v1/keys/:id', 'admin', 'Remove an API key', { status: 204 })
  remove(@Param('id') id: string): Promise<void> {
    return this.keys.remove(parse(keyId, id, 'id'));
  }
}
