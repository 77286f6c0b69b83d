import { resolve, sep } from 'node:path';
import type { Duplex } from 'node:stream';

/**
 * The one hook, git's `pre-receive`: the pack is received and checked, and lies apart; no ref has moved. It hands what git tells it
 * to the router, over the descriptor that the router opened for this push alone, prints the lines that come back, and ends as it is told.
 * Nothing of it depends on what was pushed.
 */
export const HOOK = `#!/bin/sh
{ printf '%s\\n' "$GIT_QUARANTINE_PATH" && cat && echo; } >&3 || exit 1
while IFS= read -r line <&3; do
  case $line in
    ok) exit 0 ;;
    no) exit 1 ;;
    *) printf '%s\\n' "\${line#?}" >&2 ;;
  esac
done
exit 1
`;

/** The descriptor's number in the hook, as in the processes between. */
export const HOOK_FD = 3;

/** One ref that a push wants to move. */
export interface Command {
  /** Commits; undefined where the ref is made, or removed. */
  before: string | undefined;
  after: string | undefined;
  ref: string;
}

export interface Received {
  /** Where the new objects lie until the hook has ended well; undefined where none came. */
  quarantine: string | undefined;
  commands: Command[];
}

/** More lines than any push that is taken; a ref's name is shorter than a path. */
const MAX_CHARS = 1024 * 1024;
const COMMAND = /^([0-9a-f]{40}) ([0-9a-f]{40}) (refs\/\S+)$/;
const NONE = '0'.repeat(40);

/** What the hook says at its start; undefined when it never ran, as for a pack that git refused. @throws Error for anything else */
export async function readReceived(channel: Duplex, folder: string): Promise<Received | undefined> {
  const said = await untilEmptyLine(channel);
  // The answer goes the same way; what more is said is not wanted, but must not block the hook.
  channel.resume();
  return said === undefined ? undefined : parseReceived(said.split('\n'), folder);
}

/** Without the line breaks at its end; cut where it is longer than any push that is taken. */
function untilEmptyLine(channel: Duplex): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const end = (said: string | undefined) => {
      channel.off('data', onData).off('close', onClose);
      resolve(said);
    };
    const onData = (chunk: string) => {
      text += chunk;
      // The first line may be empty itself: a push that only removes brings no objects.
      if (text.length > 1 && text.endsWith('\n\n')) end(text.slice(0, -2));
      else if (text.length > MAX_CHARS) end(text.slice(0, text.lastIndexOf('\n', MAX_CHARS)));
    };
    const onClose = () => end(undefined);
    channel.setEncoding('utf8').on('data', onData).once('close', onClose);
  });
}

function parseReceived([quarantine = '', ...commands]: string[], folder: string): Received {
  const path = resolve(quarantine);
  if (quarantine !== '' && !path.startsWith(resolve(folder, 'objects') + sep)) throw new Error('the hook named a folder that is not ours');
  return { quarantine: quarantine === '' ? undefined : path, commands: commands.map(parseCommand) };
}

function parseCommand(line: string): Command {
  const [, before, after, ref] = COMMAND.exec(line) ?? [];
  if (before === undefined || after === undefined || ref === undefined) throw new Error('the hook said what git does not say');
  return { before: before === NONE ? undefined : before, after: after === NONE ? undefined : after, ref };
}
