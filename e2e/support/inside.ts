import { join } from 'node:path';
import type { Answer, CallOptions } from '@kiln/testing/call';
import type { Cluster, Member } from '@kiln/testing/cluster';

export const fixture = (name: string) => join(import.meta.dirname, '../fixtures', name);
export const example = (name: string) => join(import.meta.dirname, '../..', 'examples', name);

/** Runs code in an instance of a function made from `fixtures/evaluate`; what it returns is the answer's JSON. */
export function inside(cluster: Cluster, name: string, code: string, options: CallOptions & { router?: Member } = {}): Promise<Answer> {
  return cluster.call(`/fn/${name}/`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: code, ...options });
}

/** The same, and the value: the call must succeed. */
export async function valueInside<T>(cluster: Cluster, name: string, code: string): Promise<T> {
  const answer = await inside(cluster, name, code);
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json<T>();
}

export const sleep = (ms: number) => `await new Promise((resolve) => setTimeout(resolve, ${ms})); return 'slept';`;

export const instanceOf = (answer: Answer) => answer.headers['x-kiln-instance'];
export const nodeOf = (answer: Answer) => answer.headers['x-kiln-node'];
export const startOf = (answer: Answer) => answer.headers['x-kiln-start'];
export const errorOf = (answer: Answer) => answer.headers['x-kiln-error'];

export const times = <T>(count: number, action: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => action(i)));

/** What went wrong, in words: empty when every call was answered with 200. */
export const refusals = (answers: readonly Answer[]) =>
  answers.filter(({ status }) => status !== 200).map(({ status, text }) => `${status} ${text}`);
