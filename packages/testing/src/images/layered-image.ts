import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { engine as usual } from '../engine.js';
import { packFiles } from '../tar.js';

/** An image of one file of random bytes, so that no two are alike; made without a build, and so in milliseconds. */
export async function importImage(repository: string, tag: string, bytes = 64, engine: Dockerode = usual): Promise<string> {
  const tar = packFiles([['content', randomBytes(bytes)]]);
  const answer = await engine.importImage(Readable.from(tar) as NodeJS.ReadableStream as never, { repo: repository, tag });
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (String(chunk).includes('"error"')) throw new Error(`import of ${repository}:${tag}: ${String(chunk)}`);
  }
  return (await engine.getImage(`${repository}:${tag}`).inspect()).Id;
}
