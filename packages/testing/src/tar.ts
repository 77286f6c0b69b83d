import { type Pack, pack } from 'tar-stream';

/** A tar of these files, by path. */
export function packFiles(files: Iterable<readonly [string, string | Buffer]>, mode = 0o644): Pack {
  const tar = pack();
  for (const [name, content] of files) tar.entry({ name, mode }, content);
  tar.finalize();
  return tar;
}
