import { Readable } from 'node:stream';
import { readProblem } from '@kiln/contract/api/problem';
import { KilnError } from '@kiln/contract/errors';

export interface ClientOptions {
  /** Base URL of the control API. */
  url: string;
  apiKey: string;
  /** Where the key comes from, for who has to correct it. */
  keyFrom?: string | undefined;
  fetch?: typeof fetch;
}

interface SendOptions {
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is, as gzip. */
  stream?: Readable;
  query?: Record<string, string | undefined>;
  headers?: Record<string, string>;
  /** Revision for `If-Match`. */
  revision?: number;
  signal?: AbortSignal;
  /** How long to wait for the answer's head. */
  timeoutMs?: number;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const TIMEOUT_MS = 30_000;

/** Calls of the control API: an answer is a success, everything else a KilnError with the server's own code. */
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
    const timer = setTimeout(() => patience.abort(new Error('no answer in time')), options.timeoutMs ?? TIMEOUT_MS);
    const signal = options.signal === undefined ? patience.signal : AbortSignal.any([patience.signal, options.signal]);
    let response: Response;
    try {
      response = await (this.options.fetch ?? fetch)(this.address(path, options.query), this.request(method, options, signal));
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      // A source that broke is the caller's own trouble, not the network's.
      throw options.stream?.errored ?? this.unreachable(error);
    } finally {
      clearTimeout(timer);
    }
    if (response.ok) return response;
    throw this.refusal(readProblem(response.status, await response.text().catch(() => ''), response.headers.get('retry-after')));
  }

  /** The server does not know where a key comes from, and its answer may be about any of several clusters. */
  private refusal(error: KilnError): KilnError {
    const { keyFrom } = this.options;
    if (error.code !== 'unauthorized' || keyFrom === undefined) return error;
    return new KilnError('unauthorized', `${this.base} does not accept the key from ${keyFrom}`, {
      fix: 'give a key of that cluster as KILN_API_KEY, or the address of another as KILN_URL; without both, KILN_HOME/credentials.json has them',
      cause: error,
    });
  }

  /** The connection failed, or broke. */
  unreachable(error: unknown): KilnError {
    return new KilnError('unavailable', `cannot reach ${this.base}: ${reasonOf(error)}`, {
      fix: 'see that Kiln runs there (kiln status), and that the URL is right',
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
      // A key is for one address: it does not follow a redirection.
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
