import { z } from 'zod';

/** A wrong variable stops the start: the message names the variable, the value and what is allowed. */
export class EnvironmentError extends Error {}

/**
 * Reads the process environment once, through one schema whose keys are the variables' names. An empty variable counts as
 * not set. Values of variables marked `.meta({ secret: true })` never appear in the message.
 * @throws EnvironmentError
 */
export function readEnvironment<T extends z.ZodRawShape>(
  shape: T,
  environment: Record<string, string | undefined>,
): z.output<z.ZodObject<T>> {
  const set = Object.fromEntries(Object.keys(shape).map((name) => [name, environment[name] || undefined]));
  const parsed = z.object(shape).safeParse(set);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    const value = set[name] === undefined ? 'not set' : isSecret(shape[name]) ? '(hidden)' : JSON.stringify(set[name]);
    return `${name} is ${value}: ${issue.message}`;
  });
  throw new EnvironmentError(lines.join('\n'));
}

/** What is marked stays so when it is optional, has a default or is changed: each is a schema of its own around the marked one. */
function isSecret(schema: unknown): boolean {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return isSecret(schema.unwrap());
  if (schema instanceof z.ZodPipe) return isSecret(schema.in);
  return schema instanceof z.ZodType && schema.meta()?.['secret'] === true;
}

export const port = (fallback: number) =>
  z.coerce
    .number('must be a port, 1 to 65535')
    .int()
    .min(1, 'must be a port, 1 to 65535')
    .max(65_535, 'must be a port, 1 to 65535')
    .default(fallback);

export const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info');

const SECRET_RULE = 'must be at least 16 characters';
export const clusterSecret = z.string(SECRET_RULE).min(16, SECRET_RULE).meta({ secret: true });

const REDIS_RULE = 'must start with redis://, rediss:// or unix://';
export const redisUrl = z
  .string(REDIS_RULE)
  .regex(/^(rediss?|unix):\/\//, REDIS_RULE)
  .refine((url) => URL.canParse(url), 'must be a URL')
  .meta({ secret: true });

const REGISTRY = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d{1,5})?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*\/?$/;
/** A registry, and the path that goes before every repository in it. */
export const registryPrefix = z
  .string()
  .max(255)
  .regex(REGISTRY, 'must be a host with an optional port and path: registry.example.com/kiln');
