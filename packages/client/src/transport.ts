import { Readable } from 'node:stream';
import { readProblem } from '@kiln/contract/api/problem';
import { KilnError } from '@kiln/contract/errors';

export interface ClientOptions {
  /** The base URL of the control API. */
  url: string;
  apiKey: string;
  /** The source of the key, for the error about a wrong key. */
  keyFrom?: string | undefined;
}

interface SendOptions {
  /** Sent as JSON. */
  json?: unknown;
  /** A gzip stream, sent unchanged. */
  stream?: Readable;
  query?: Record<string, string | undefined>;
  headers?: Record<string, string>;
  /** Revision for `If-Match`. */
  revision?: number;
  signal?: AbortSignal;
  /** How long to wait for the head of the response. */
  timeoutMs?: number;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const TIMEOUT_MS = 30_000;

/** Sends requests to the control API. Everything but a success becomes a KilnError with the server's code. */
export class Transport {
  private readonly base: string;

  constructor(private readonly options: ClientOptions) {
    this.base = options.url.replace(/\/+$/, '');
  }

  /** @throws KilnError */
  async json<T>(method: Method, path: string, options: SendOptions = {}): Promise<T> {
    const response = await this.send(method, path, options);
    try {
      return (response.status === 204 ? undefined : await response.json()) as T;
    } catch (error) {
      throw this.unreachable(error);
    }
  }

  /** @throws KilnError */
  async send(method: Method, path: string, options: SendOptions = {}): Promise<Response> {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(new Error('no response in time')), options.timeoutMs ?? TIMEOUT_MS);
    const signal = options.signal === undefined ? patience.signal : AbortSignal.any([patience.signal, options.signal]);
    let response: Response;
    try {
      response = await fetch(this.address(path, options.query), this.request(method, options, signal));
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      // An error of the source stream belongs to the caller, not to the network.
      throw options.stream?.errored ?? this.unreachable(error);
    } finally {
      clearTimeout(timer);
    }
    if (response.ok) return response;
    throw this.refusal(readProblem(response.status, await response.text().catch(() => ''), response.headers.get('retry-after')));
  }

  /** Names the source of a wrong key and the cluster, which the server cannot know. */
  private refusal(error: KilnError): KilnError {
    const { keyFrom } = this.options;
    if (error.code !== 'unauthorized' || keyFrom === undefined) return error;
    return new KilnError('unauthorized', `${this.base} does not accept the key from ${keyFrom}`, {
      fix: 'set KILN_API_KEY to a key of that cluster, or KILN_URL to another cluster; without both, KILN_HOME/credentials.json is used',
      cause: error,
    });
  }

  /** The error for a connection that failed or broke. */
  unreachable(error: unknown): KilnError {
    return new KilnError('unavailable', `cannot reach ${this.base}: ${reasonOf(error)}`, {
      fix: 'check that Kiln runs there (kiln status), and that the URL is right',
      cause: error,
    });
  }

  private address(path: string, query: SendOptions['query'] = {}): string {
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return given.length === 0 ? `${this.base}${path}` : `${this.base}${path}?${new URLSearchParams(given)}`;
  }

  private request(method: Method, { json, stream, revision, headers: more }: SendOptions, signal: AbortSignal): RequestInit {
    const headers: Record<string, string> = { ...more, authorization: `Bearer ${this.options.apiKey}`, accept: 'application/json' };
    if (revision !== undefined) headers['if-match'] = `"${revision}"`;
    if (json !== undefined) headers['content-type'] = 'application/json';
    if (stream !== undefined) headers['content-type'] = 'application/gzip';
    return {
      method,
      headers,
      signal,
      // Follows no redirect: the key is for this address only.
      redirect: 'error',
      ...(json !== undefined && { body: JSON.stringify(json) }),
      ...(stream !== undefined && { body: Readable.toWeb(stream) as ReadableStream, duplex: 'half' }),
    };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0]);
  return cause instanceof Error ? reasonOf(cause) : error.message;
}
