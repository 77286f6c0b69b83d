import { readFileSync } from 'node:fs';
import { KilnClient } from '@kiln/client/client';
import { KilnError } from '@kiln/contract/errors';
import { z } from 'zod';
import type { Session } from './command.js';
import { homePaths } from './home.js';

const credentials = z.object({ url: z.url(), apiKey: z.string().min(1) });
export type Credentials = z.infer<typeof credentials>;

/** `KILN_URL` and `KILN_API_KEY`, else what `kiln up` wrote. @throws KilnError `unauthorized` that names what is missing */
export function findCredentials({ config }: Session): Credentials {
  const { KILN_URL: url, KILN_API_KEY: apiKey } = config;
  if (url !== undefined && apiKey !== undefined) return { url, apiKey };
  const file = homePaths(config.KILN_HOME).credentials;
  const stored = readCredentials(file);
  if (apiKey !== undefined && stored) return { url: stored.url, apiKey };
  // The stored key belongs to one address and is never sent to another.
  if (url !== undefined && new URL(url).origin !== (stored && new URL(stored.url).origin)) {
    throw new KilnError('unauthorized', `KILN_URL is ${url}, and no key for it is known`, { fix: 'set KILN_API_KEY too' });
  }
  if (stored) return stored;
  const fix = 'start Kiln on this machine with `kiln up`, or set KILN_URL and KILN_API_KEY';
  throw new KilnError('unauthorized', `KILN_URL and KILN_API_KEY are not set, and ${file} does not exist`, { fix });
}

export function connect(session: Session): KilnClient {
  const { KILN_HOME: home, KILN_API_KEY: given } = session.config;
  return new KilnClient({ ...findCredentials(session), keyFrom: given === undefined ? homePaths(home).credentials : 'KILN_API_KEY' });
}

function readCredentials(file: string): Credentials | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new KilnError('unauthorized', `cannot read ${file}: ${(error as Error).message}`, { fix: `make it readable: chmod 600 ${file}` });
  }
  try {
    return credentials.parse(JSON.parse(text));
  } catch {
    const fix = 'remove it and run `kiln up`, which writes a new one';
    throw new KilnError('unauthorized', `${file} does not hold {"url", "apiKey"}`, { fix });
  }
}
