import { type FileHandle, open } from 'node:fs/promises';
import { KilnError } from '@kiln/contract/errors';
import { z } from 'zod';
import { DEFAULT_REGISTRY, type RegistryLogin } from './login.js';

const MAX_BYTES = 1024 * 1024;
const OTHERS = 0o077;

const text = z.string().optional();
const entry = z.object({ auth: text, username: text, password: text, identitytoken: text });
const authFile = z.object({ auths: z.record(z.string(), entry).default({}) });

export type StoredLogins = ReadonlyMap<string, RegistryLogin>;

export interface AuthFile {
  path: string;
  /** True for the default path, whose file may be missing. */
  optional: boolean;
}

/**
 * Reads logins by host from a file in the form of `docker login`. Errors contain none of its content.
 * @throws KilnError `unavailable` when the file is unreadable, readable by others, or in another form
 */
export async function readAuthFile({ path, optional }: AuthFile): Promise<StoredLogins> {
  const found = new Map<string, RegistryLogin>();
  const content = await contentOf(path, optional);
  if (content === undefined) return found;
  const { auths } = parsed(path, content);
  for (const [address, stored] of Object.entries(auths)) {
    const login = loginOf(address, stored);
    if (login === undefined) throw unusable(path, `its entry for ${hostOf(address)} holds no login`, NO_STORE);
    found.set(hostOf(address), login);
  }
  return found;
}

const NO_STORE = 'Kiln uses no credential stores or helpers: write "auth" or "username" and "password" into the file';

async function contentOf(path: string, optional: boolean): Promise<string | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    // Checks the open file: the path may point to another file a moment later.
    const { mode, size } = await file.stat();
    if ((mode & OTHERS) !== 0) throw unusable(path, `others may read it (mode ${(mode & 0o777).toString(8)})`, `chmod 600 ${path}`);
    if (size > MAX_BYTES) throw unusable(path, 'it is larger than 1 MB');
    return await file.readFile('utf8');
  } catch (error) {
    if (error instanceof KilnError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (optional && code === 'ENOENT') return undefined;
    throw unusable(path, code === 'ENOENT' ? 'there is no such file' : `it can't be read (${code})`, undefined, error);
  } finally {
    await file?.close();
  }
}

function parsed(path: string, text: string): z.infer<typeof authFile> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw unusable(path, 'it is not JSON');
  }
  const read = authFile.safeParse(content);
  if (read.success) return read.data;
  throw unusable(path, `it is not in the form of docker login, at ${read.error.issues[0]?.path.join('.') || 'its top'}`);
}

function loginOf(address: string, { auth, username, password, identitytoken }: z.infer<typeof entry>): RegistryLogin | undefined {
  const decoded = auth === undefined ? '' : Buffer.from(auth, 'base64').toString();
  const colon = decoded.indexOf(':');
  const user = username ?? (colon === -1 ? '' : decoded.slice(0, colon));
  const secret = password ?? (colon === -1 ? '' : decoded.slice(colon + 1));
  if (identitytoken === undefined && (user === '' || secret === '')) return undefined;
  return { username: user, password: secret, serveraddress: address, identitytoken };
}

/** The host in image references for `https://index.docker.io/v1/` or `ghcr.io`. */
function hostOf(address: string): string {
  const host = address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? DEFAULT_REGISTRY : host;
}

function unusable(path: string, why: string, fix?: string, cause?: unknown): KilnError {
  return new KilnError('unavailable', `the registry logins in ${path} can't be used: ${why}`, { fix, cause });
}
