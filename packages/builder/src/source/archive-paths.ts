import { KilnError } from '@kiln/contract/errors';

const MAX_SEGMENT_BYTES = 255;
const MAX_PATH_BYTES = 1000;

/** The paths of one archive. Refuses a path outside the folder, and a path that the archive has already. */
export class ArchivePaths {
  readonly #files = new Set<string>();
  readonly #folders = new Set<string>();

  get count(): number {
    return this.#files.size + this.#folders.size;
  }

  /** @returns the path without `.` and empty segments; '' for the root itself. @throws KilnError `bad_request` that names the path */
  add(name: string, type: 'file' | 'folder'): string {
    const segments = plainSegments(name);
    const path = segments.join('/');
    if (path === '') {
      if (type === 'file') throw refusal(name, 'has no name');
      return path;
    }
    for (let depth = 1; depth < segments.length; depth += 1) this.#addFolder(segments.slice(0, depth).join('/'), name);
    if (type === 'folder') this.#addFolder(path, name);
    else this.#addFile(path, name);
    return path;
  }

  #addFile(path: string, name: string): void {
    const key = pathKey(path);
    if (this.#files.has(key) || this.#folders.has(key)) throw refusal(name, 'is in the archive twice');
    this.#files.add(key);
  }

  #addFolder(path: string, name: string): void {
    const key = pathKey(path);
    if (this.#files.has(key)) throw refusal(name, `${path} is a file and a folder`);
    this.#folders.add(key);
  }
}

export function refusal(name: string, why: string): KilnError {
  const shown = name.length > 300 ? `${name.slice(0, 300)}…` : name;
  return new KilnError('bad_request', `archive entry ${JSON.stringify(shown)}: ${why}`, {
    fix: 'send plain files and folders with paths below the folder itself; kiln deploy does so',
    fields: [{ field: shown, message: why }],
  });
}

function plainSegments(name: string): string[] {
  if (name.includes('\0')) throw refusal(name, 'has NUL in its name');
  if (name.startsWith('/')) throw refusal(name, 'is an absolute path');
  if (Buffer.byteLength(name) > MAX_PATH_BYTES) throw refusal(name, `has a path of more than ${MAX_PATH_BYTES} bytes`);
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.includes('..')) throw refusal(name, 'leaves the folder with ".."');
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)) {
    throw refusal(name, `has a name of more than ${MAX_SEGMENT_BYTES} bytes`);
  }
  return segments;
}

/** Some systems take two Unicode forms of one name for the same file, so both forms have one key. */
function pathKey(path: string): string {
  return path.normalize('NFC');
}
