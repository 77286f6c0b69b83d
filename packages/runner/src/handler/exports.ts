import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

export type Next = (error?: unknown) => void;
export type Handler = (request: IncomingMessage, response: ServerResponse, next: Next) => unknown;
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => unknown;

/** `definition`: an object with `func` or `definition`; `app`: an Express app or router; `function`: any other function. */
export type ExportKind = 'definition' | 'function' | 'app';

/** The description of an export, as `describe` prints it. */
export interface ExportDescription {
  name: string;
  kind: ExportKind;
  config?: unknown;
}

export interface FunctionExport extends ExportDescription {
  handler: Handler;
  upgrade: Upgrade | undefined;
}

/** The name of `module.exports` itself, and of an ES module's default export. */
const DEFAULT = 'default';
const UPGRADE = 'upgrade';

/** Every export that Kiln can serve, in the order of the module. */
export function functionExports(namespace: object): FunctionExport[] {
  const candidates = new Map<string, unknown>();
  // For CommonJS, `import` also gives guessed export names; the true object has this key.
  const root = 'module.exports' in namespace ? namespace['module.exports'] : undefined;
  if (root === undefined) addMembers(candidates, namespace);
  else addObject(candidates, root);
  const fallback = candidates.get(DEFAULT);
  if (typeof fallback === 'object' && fallback !== null && !isDefinition(fallback)) addObject(candidates, fallback);
  return detected(candidates);
}

/** The export to serve: the one that `handler` names, else the one named like the function, else the default, else the only one. */
export function chooseExport<T extends ExportDescription>(
  exports: readonly T[],
  wanted: { handler?: string | undefined; functionName?: string | undefined },
): T | undefined {
  const named = (name: string | undefined) => exports.find((candidate) => candidate.name === name);
  if (wanted.handler !== undefined) return named(wanted.handler);
  return named(wanted.functionName) ?? named(DEFAULT) ?? (exports.length === 1 ? exports[0] : undefined);
}

function addObject(candidates: Map<string, unknown>, value: unknown): void {
  if (asHandler(value) !== undefined) candidates.set(DEFAULT, value);
  if (isApp(value) || isDefinition(value)) return;
  if (typeof value === 'object' || typeof value === 'function') addMembers(candidates, value);
}

function addMembers(candidates: Map<string, unknown>, value: object | null): void {
  for (const [name, member] of Object.entries(value ?? {})) if (!candidates.has(name)) candidates.set(name, member);
}

function detected(candidates: ReadonlyMap<string, unknown>): FunctionExport[] {
  const found: FunctionExport[] = [];
  for (const [name, value] of candidates) {
    const described = asHandler(value);
    if (described !== undefined) found.push({ name, ...described });
  }
  const handlers = found.filter(({ name }) => name !== UPGRADE);
  // As the only export, one with this name is a function like any other.
  if (handlers.length === 0) return found;
  const shared = found.find(({ name, kind }) => name === UPGRADE && kind === 'function')?.handler as unknown as Upgrade | undefined;
  return handlers.map((entry) => ({ ...entry, upgrade: entry.upgrade ?? shared }));
}

function asHandler(value: unknown): Omit<FunctionExport, 'name'> | undefined {
  if (isDefinition(value)) {
    const handler = (value.func ?? value.definition).bind(value);
    return { kind: 'definition', handler, upgrade: upgradeOf(value), config: value.config };
  }
  if (typeof value !== 'function' || isClass(value)) return undefined;
  return { kind: isApp(value) ? 'app' : 'function', handler: value as Handler, upgrade: upgradeOf(value) };
}

function isDefinition(value: unknown): value is { func: Handler; definition: Handler; config?: unknown } {
  if (typeof value !== 'object' || value === null) return false;
  return ('func' in value && typeof value.func === 'function') || ('definition' in value && typeof value.definition === 'function');
}

function isApp(value: unknown): boolean {
  return typeof value === 'function' && 'handle' in value && typeof value.handle === 'function';
}

function isClass(value: object): boolean {
  return Function.prototype.toString.call(value).startsWith('class');
}

function upgradeOf(value: object): Upgrade | undefined {
  return UPGRADE in value && typeof value.upgrade === 'function' ? (value.upgrade.bind(value) as Upgrade) : undefined;
}
