import { z } from 'zod';
import { type ImageKind, KINDS } from '../kinds.js';
import { functionName, projectName, suggestName, variableName } from '../names.js';
import { stored } from '../stored.js';
import { fraction, oneOf, refused, whole, words } from './config-values.js';
import { fieldErrors, invalidFields, parse } from './field-errors.js';
import { unknownKeys } from './known-keys.js';

const MAX_ENV_BYTES = 64 * 1024;

const environment = z
  .record(
    variableName,
    z.string(refused('a text in quotes')).refine((value) => !value.includes('\0'), 'must not contain NUL'),
    refused('an object of names and texts'),
  )
  .refine((env) => JSON.stringify(env).length <= MAX_ENV_BYTES, `must be at most ${MAX_ENV_BYTES} bytes in all`);

const shape = {
  entry: words('the path of a module, as text', 1024).optional(),
  handler: words('the name of an export, as text', 1024).optional(),
  /** ms */
  timeout: whole(' of ms', 1, 900_000).default(15_000),
  /** ms until ready */
  startTimeout: whole(' of ms', 1, 900_000).default(30_000),
  /** MB, hard limit, no swap */
  memory: whole(' of MB', 16, 1_048_576).default(256),
  /** cores */
  cpu: fraction(' of cores', 0.01, 1024).default(1),
  /** leases per instance */
  concurrency: whole('', 1, 10_000),
  maxInstances: whole('', 1, 100_000).default(100),
  minInstances: whole('', 0, 100_000).default(0),
  /** waiting requests per node */
  queue: whole('', 0, 100_000).default(100),
  /** ms from last use to removal */
  idleTimeout: whole(' of ms', 1, 2_147_483_647).default(300_000),
  /** ms from last use to freeze; 0 = never */
  freezeAfter: whole(' of ms', 0, 2_147_483_647).default(1000),
  /** ms between SIGTERM and SIGKILL for an instance that ends in order */
  stopGrace: whole(' of ms', 0, 60_000).default(10_000),
  /** bytes */
  maxBody: whole(' of bytes', 0).default(33_554_432),
  port: whole('', 1, 65_535).default(8080),
  env: environment.default({}),
  secrets: z.array(variableName, refused('a list of names')).max(100).default([]),
  auth: oneOf(['none', 'key']).default('none'),
};

/** A version's configuration, complete. */
export const functionConfig = z
  .strictObject(shape)
  .refine((config) => config.minInstances <= config.maxInstances, {
    path: ['minInstances'],
    message: 'must not be more than maxInstances',
  })
  .superRefine(({ env, secrets }, context) => {
    for (const [i, name] of secrets.entries()) {
      if (secrets.indexOf(name) < i) context.addIssue({ code: 'custom', path: ['secrets', i], message: `${name} is named twice` });
      if (Object.hasOwn(env, name))
        context.addIssue({ code: 'custom', path: ['secrets', i], message: `${name} is a plain variable in env too` });
    }
  })
  .meta({ id: 'FunctionConfig' });
export type FunctionConfig = z.infer<typeof functionConfig>;

/** The same as it is stored with a version: checked against each other when it was made, by whoever knew all its keys. */
export const storedConfig = stored(shape).meta({ id: 'StoredFunctionConfig' });

/** What a user writes: any of the keys. */
export const functionConfigInput = z
  .strictObject({ ...shape, concurrency: shape.concurrency.optional() })
  .partial()
  .meta({ id: 'FunctionConfigInput' });
export type FunctionConfigInput = z.input<typeof functionConfigInput>;

const KEYS = Object.keys(shape);
const PROJECT = 'project';
/** In one `kiln.json`. */
const MAX_FUNCTIONS = 100;

/** The configuration with all defaults. @throws KilnError `bad_request` naming each wrong field, and for an unknown key the nearest known one */
export function resolveConfig(input: unknown, kind: ImageKind, where = 'config'): FunctionConfig {
  refuseUnknownKeys(input, KEYS, where);
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  return parse(functionConfig, { concurrency: KINDS[kind].concurrency, ...given }, where, ' ');
}

/** One function as a project declares it: a name (default: the folder's) and its part of the configuration. */
export interface DeclaredFunction {
  name: string;
  config: FunctionConfigInput;
}

/** Reads a `kiln.json`: one function, or a list of several under `functions`. @throws KilnError `bad_request` naming each wrong field */
export function readKilnJson(content: unknown, folderName: string): DeclaredFunction[] {
  requireObject(content, 'kiln.json');
  const { [PROJECT]: _, ...rest } = content as { [PROJECT]?: unknown };
  readProjectName(content);
  if (!('functions' in rest)) return [declared(rest, folderName, 'kiln.json', [PROJECT])];
  const misplaced = Object.keys(rest).filter((key) => key === 'name' || KEYS.includes(key));
  if (misplaced.length > 0) {
    throw invalidFields(
      misplaced.map((key) => ({ field: `kiln.json.${key}`, message: 'stands beside "functions"; write it into each of them' })),
    );
  }
  refuseUnknownKeys(content, ['functions', PROJECT], 'kiln.json');
  const list = rest.functions;
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_FUNCTIONS) {
    throw invalidFields([{ field: 'kiln.json.functions', message: `must be a list of 1 to ${MAX_FUNCTIONS} functions` }]);
  }
  const functions = list.map((entry, i) => declared(entry, undefined, `kiln.json.functions[${i}]`));
  const names = functions.map(({ name }) => name);
  const twice = names.findIndex((name, i) => names.indexOf(name) < i);
  if (twice < 0) return functions;
  throw invalidFields([{ field: `kiln.json.functions[${twice}].name`, message: `"${names[twice]}" is declared twice` }]);
}

/** The project that a `kiln.json` says its functions belong to; undefined where it names none. @throws KilnError `bad_request` */
export function readProjectName(content: object): string | undefined {
  return PROJECT in content ? parse(projectName, content[PROJECT], `kiln.json.${PROJECT}`, ' ') : undefined;
}

function declared(content: unknown, defaultName: string | undefined, where: string, others: readonly string[] = []): DeclaredFunction {
  refuseUnknownKeys(content, ['name', ...others, ...KEYS], where);
  const { name, ...config } = content as { name?: unknown };
  const parsedName = functionName.safeParse(name ?? defaultName);
  if (!parsedName.success) {
    const [first] = fieldErrors(parsedName.error, `${where}.name`);
    throw invalidFields([
      { field: `${where}.name`, message: `${first?.message}; write "name": "${suggestName(String(name ?? defaultName))}"` },
    ]);
  }
  parse(functionConfigInput, config, where, ' ');
  // The caller's own keys, not the parsed ones: defaults are filled in once the image's kind is known.
  return { name: parsedName.data, config: config as FunctionConfigInput };
}

function requireObject(input: unknown, where: string): asserts input is object {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return;
  throw invalidFields([{ field: where, message: 'must be an object' }]);
}

function refuseUnknownKeys(input: unknown, known: readonly string[], where: string): asserts input is object {
  requireObject(input, where);
  const unknown = unknownKeys(input, known, where);
  if (unknown.length > 0) throw invalidFields(unknown);
}
