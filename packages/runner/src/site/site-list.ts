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
  /** Encodings made at build time, the best first. */
  encodings: Encoding[];
}

export interface SiteList {
  /** A single-page app: its page answers every path that its code may handle. */
  app: boolean;
  files: Record<string, SiteFile>;
}

/** Folder of a site that holds its files in this encoding. */
export function folderOf(encoding: Encoding | undefined): string {
  return encoding ?? 'plain';
}
