import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EnvironmentError } from '@kiln/contract/config/environment';
import { MASTER_KEY_RULE, type MasterKey, type MasterKeys, parseMasterKey } from './master-key.js';

const FILE = 'master.key';
const PREVIOUS_FILE = 'master.key.previous';
const OTHERS = 0o077;

/**
 * Reads the keys of this process from `KILN_MASTER_KEY` and `KILN_MASTER_KEY_PREVIOUS`, else from files of the home. Undefined without
 * a key: such a process cannot handle secrets.
 * @param given the home, and the values of the variables
 * @throws EnvironmentError that names the variable or the file, and what to do
 */
export function readMasterKeys(given: { home: string; own?: string; previous?: string }): MasterKeys | undefined {
  const own = fromVariable('KILN_MASTER_KEY', given.own) ?? fromFile(join(given.home, FILE));
  const previous = fromVariable('KILN_MASTER_KEY_PREVIOUS', given.previous) ?? fromFile(join(given.home, PREVIOUS_FILE));
  if (own !== undefined) return { own: own.key, previous: previous?.key, source: own.source };
  if (previous === undefined) return undefined;
  throw new EnvironmentError(`${previous.source} holds the master key before this one, and there is no KILN_MASTER_KEY: set it too`);
}

interface Found {
  key: MasterKey;
  source: string;
}

function fromVariable(name: string, text: string | undefined): Found | undefined {
  if (text === undefined) return undefined;
  const key = parseMasterKey(text);
  if (key === undefined) throw new EnvironmentError(`${name} is (hidden): ${MASTER_KEY_RULE}`);
  return { key, source: name };
}

function fromFile(file: string): Found | undefined {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if ((stats.mode & OTHERS) !== 0) throw new EnvironmentError(`${file} can be read by others: chmod 600 ${file}`);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new EnvironmentError(`${file} can't be read (${(error as Error).message}): give it to the user that runs this`);
  }
  const key = parseMasterKey(text);
  if (key === undefined) throw new EnvironmentError(`${file} holds no master key: it ${MASTER_KEY_RULE}; put back a copy`);
  return { key, source: file };
}
