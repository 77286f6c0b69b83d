/** Lies beside the files of a site and names every one that may be served. */
export const SITE_LIST = 'kiln-site.json';

export type Encoding = 'br' | 'gzip';

/** One file of a site, by its path from the root, which starts with a slash. */
export interface SiteFile {
  type: string;
  /** Of the content: equal files have equal ones, whenever they were built. */
  hash: string;
  /** Its name changes with its content. */
  immutable: boolean;
  /** Made at build, best first. */
  encodings: Encoding[];
}

export interface SiteList {
  /** The page of an app stands for every path that its own code knows. */
  app: boolean;
  files: Record<string, SiteFile>;
}

/** Folder of a site that holds its files in this encoding. */
export function folderOf(encoding: Encoding | undefined): string {
  return encoding ?? 'plain';
}
