import { ERRORS, type ErrorCode } from '@kiln/contract/errors';
import { z } from 'zod';
import { type ApiRoute, ROUTES } from './routes.js';

/** The body of every error answer. */
const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
    detail: z.string(),
    requestId: z.string(),
    fix: z.string().optional(),
    fields: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' });

const NDJSON = 'application/x-ndjson';

/** The OpenAPI 3.1 document, made from the routes and the contract's schemas. */
export function openApiDocument(): object {
  const paths: Record<string, Record<string, object>> = {};
  const schemas = new Schemas();
  for (const route of ROUTES) {
    const path = route.path.replace(/:([a-z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Kiln control API', version: '1', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key' } },
      schemas: schemas.named,
    },
  };
}

/** Schemas with an id are written once, under `components`. */
class Schemas {
  readonly named: Record<string, object> = {};

  of(schema: z.ZodType, io: 'input' | 'output'): object {
    const { $schema: _, $defs = {}, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
    const moved = JSON.parse(JSON.stringify({ $defs, rest }).replaceAll('"#/$defs/', '"#/components/schemas/'));
    Object.assign(this.named, moved.$defs);
    const { id, ...own } = moved.rest;
    if (typeof id !== 'string') return own;
    this.named[id] = own;
    return { $ref: `#/components/schemas/${id}` };
  }
}

function operation(route: ApiRoute, schemas: Schemas): object {
  return {
    summary: route.summary,
    operationId: operationId(route),
    ...(route.scope === undefined ? { security: [] } : { security: [{ key: [route.scope] }], description: `Scope: ${route.scope}` }),
    parameters: [
      ...[...route.path.matchAll(/:([a-z]+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...parameters('query', route.query),
      ...parameters('header', route.headers),
    ],
    ...(route.body !== undefined && { requestBody: { required: true, content: bodyContent(route.body, schemas) } }),
    responses: {
      [route.status]: { description: 'Done', ...(route.status !== 204 && { content: answerContent(route, schemas) }) },
      default: { description: 'An error', content: { 'application/problem+json': { schema: schemas.of(problemSchema, 'output') } } },
    },
  };
}

function operationId({ method, path }: ApiRoute): string {
  const words = path.split(/[^A-Za-z]+/).filter((word) => word !== '' && word !== 'v');
  return [method.toLowerCase(), ...words].join('-');
}

function parameters(where: 'query' | 'header', said: Record<string, string> = {}): object[] {
  return Object.entries(said).map(([name, description]) => ({ name, in: where, description, schema: { type: 'string' } }));
}

function bodyContent(body: NonNullable<ApiRoute['body']>, schemas: Schemas): object {
  if (typeof body !== 'string') return { 'application/json': { schema: schemas.of(body, 'input') } };
  return { [body === 'git' ? 'application/x-git' : 'application/gzip']: { schema: { type: 'string', format: 'binary' } } };
}

function answerContent({ answer, answerType = 'application/json' }: ApiRoute, schemas: Schemas): object {
  if (answer === undefined) return { [answerType]: { schema: { type: 'string' } } };
  const description = answerType === NDJSON ? { description: 'One JSON object a line; empty lines keep the connection alive' } : {};
  return { [answerType]: { schema: { ...schemas.of(answer, 'output'), ...description } } };
}
