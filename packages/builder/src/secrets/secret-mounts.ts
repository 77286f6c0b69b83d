import { buildSecretId } from '@kiln/contract/api/build-secrets';
import type { KilnError } from '@kiln/contract/errors';
import { dockerfileRefusal, jsonWords } from '../dockerfile/dockerfile-text.js';

export const SECRETS_FOLDER = '/run/secrets';
/** Size of the tmpfs; each file takes at least a page. */
export const MAX_SECRETS_BYTES = 1024 * 1024;

/** A file that one step can read. */
export interface SecretMount {
  id: string;
  /** Absolute. */
  target: string;
  required: boolean;
  uid: number;
  gid: number;
  /** Octal. */
  mode: string;
}

/** A step that reads secrets. */
export interface SecretRun {
  mounts: SecretMount[];
  /** The words of a command, or a line for the shell. */
  command: string[] | string;
}

/** Parses a RUN; undefined for one without secrets. @throws KilnError `bad_request` for an option that Kiln does not support */
export function secretRun(rest: string): SecretRun | undefined {
  const flags: string[] = [];
  let command = rest;
  for (let match = FLAG.exec(command); match !== null; match = FLAG.exec(command)) {
    flags.push(match[1] as string);
    command = command.slice(match[0].length);
  }
  if (!flags.some((flag) => isSecret(flag))) return undefined;
  const other = flags.find((flag) => !isSecret(flag));
  if (other !== undefined) throw refusal(`${other} beside a secret is not known here`, 'leave it out, or give it a RUN of its own');
  const mounts = flags.map((flag) => mountOf(flag));
  const twice = mounts.find(({ target }, at) => mounts.findIndex((mount) => mount.target === target) !== at);
  if (twice !== undefined) throw refusal(`two secrets for ${twice.target}`, 'name another target');
  return { mounts, command: jsonWords(command) ?? command };
}

const FLAG = /^(--[a-z]+(?:=\S+)?)\s+/;

function isSecret(flag: string): boolean {
  return flag.startsWith('--mount=') && flag.slice('--mount='.length).split(',').includes('type=secret');
}

function mountOf(flag: string): SecretMount {
  if (/["'$\\]/.test(flag)) throw refusal(`${flag}: quotes and variables are not known here`, 'write it out');
  const given = new Map<string, string>();
  for (const pair of flag.slice('--mount='.length).split(',')) {
    const [key = '', value = 'true'] = pair.split('=', 2);
    if (!KEYS.includes(key)) throw refusal(`${flag}: ${key} is not known here`, `known are ${KEYS.join(', ')}`);
    given.set(key === 'dst' || key === 'destination' ? 'target' : key, value);
  }
  const target = given.get('target');
  const id = given.get('id') ?? target?.split('/').at(-1) ?? '';
  const parsed = buildSecretId.safeParse(id);
  if (!parsed.success) throw refusal(`${flag}: id ${parsed.error.issues[0]?.message}`, 'as in --mount=type=secret,id=npmrc');
  const [uid, gid, mode = ''] = ['uid', 'gid', 'mode'].map((key) => numberOf(flag, key, given.get(key)));
  return {
    id,
    target: absolute(flag, target ?? `${SECRETS_FOLDER}/${id}`),
    required: given.get('required') === 'true',
    uid: Number(uid),
    gid: Number(gid),
    mode,
  };
}

/** The options of a mount; `dst` and `destination` are other names of `target`. */
const KEYS = ['type', 'id', 'target', 'dst', 'destination', 'required', 'uid', 'gid', 'mode'];

function numberOf(flag: string, key: string, value = key === 'mode' ? '0400' : '0'): string {
  if ((key === 'mode' ? /^0?[0-7]{3}$/ : /^\d{1,9}$/).test(value)) return value;
  throw refusal(`${flag}: ${key} must be ${key === 'mode' ? 'octal, as 0400' : 'a number'}`, 'correct it');
}

function absolute(flag: string, target: string): string {
  if (/^(\/[A-Za-z0-9_.@-]+)+$/.test(target) && !target.split('/').some((part) => part === '.' || part === '..')) return target;
  const why = `${flag}: target must be an absolute path of letters, digits, _, ., @ and -`;
  throw refusal(why, `leave it out: it is ${SECRETS_FOLDER}/<id> then`);
}

function refusal(why: string, fix: string): KilnError {
  return dockerfileRefusal(`RUN with a secret: ${why}`, fix);
}
