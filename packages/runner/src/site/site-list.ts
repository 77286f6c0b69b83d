/** The file that names every file of a site that may be served. */
export const SITE_LIST = 'kiln-site.json';

export type Encoding = 'br' | 'gzip';

/** One file of a site, by its path from the root, which starts with a slash. */
export interface SiteFile {
  type: string;
  /** Hash of the content: equal for equal files of every build. */
  hash: string;
  /** Its name changes with its content. */
  immutable: boolean;
  /** It names the page's root: another text lies in the folder `BASED`, for requests by path. */
  based?: true;
  /** Encodings made at build time, the best first. */
  encodings: Encoding[];
}

export interface SiteList {
  /** What stands for the page's root in the texts of the folder `BASED`. */
  base?: string;
  /** A single-page app: its page answers every path that its code may handle. */
  app: boolean;
  files: Record<string, SiteFile>;
}

/** Folder of a site with the texts that name the page's root, as the bundler made them. */
export const BASED = 'based';

/** Folder of a site that holds its files in this encoding. */
export function folderOf(encoding: Encoding | undefined): string {
  return encoding ?? 'plain';
}

/** Byte by byte: the base is ASCII, and the text may have any encoding. */
export function withBase(content: Buffer, base: string, prefix: string): Buffer {
  return Buffer.from(
    content.toString('latin1').replaceAll(base, () => prefix),
    'latin1',
  );
}
