import { buildRunnerImage } from '@kiln/testing/images/test-image';
import { afterAll, beforeAll } from 'vitest';
import { EVALUATE, TestNode } from '../node.fixture.js';

/** Of the file that runs: a node, an image that evaluates what it is sent, and all images that go at the end. */
export let node: TestNode;
export let image: string;
export const images: { id: string; remove(): Promise<void> }[] = [];

/** Gives all tests of the file one `node` and one `image`. */
export function withEvaluatingNode(): void {
  beforeAll(async () => {
    const built = await buildRunnerImage(EVALUATE);
    images.push(built);
    image = built.id;
    node = await TestNode.start({ memory: 8192 });
  });
  afterAll(async () => {
    await node?.stop();
    for (const made of images) await made.remove();
  });
}

export const times = <T>(count: number, action: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => action(i)));
