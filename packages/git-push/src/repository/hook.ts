import { resolve, sep } from 'node:path';
import type { Duplex } from 'node:stream';

/**
 * The only hook, git's `pre-receive`. Git has received and checked the pack, which is in quarantine, and no ref has moved. The hook sends
 * git's input to the router, over a descriptor that the router opened for this push alone. It prints the lines of the response, and ends
 * with `ok` or `no`. Nothing in it depends on pushed content.
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

/** The number of that descriptor in the hook and in git's processes above it. */
export const HOOK_FD = 3;

/** One ref that a push wants to move. */
export interface Command {
  /** Commits; undefined where the push makes or removes the ref. */
  before: string | undefined;
  after: string | undefined;
  ref: string;
}

export interface Received {
  /** Folder of the new objects until the hook succeeds; undefined without new objects. */
  quarantine: string | undefined;
  commands: Command[];
}

/** More than the lines of any push that is accepted. */
const MAX_CHARS = 1024 * 1024;
const COMMAND = /^([0-9a-f]{40}) ([0-9a-f]{40}) (refs\/\S+)$/;
const NONE = '0'.repeat(40);

/** Reads the first message of the hook; undefined where the hook never ran, as for a pack that git refused. @throws Error for any other message */
export async function readReceived(channel: Duplex, folder: string): Promise<Received | undefined> {
  const message = await untilEmptyLine(channel);
  // Further input is ignored, but must not block the hook; the response uses the same channel.
  channel.resume();
  return message === undefined ? undefined : parseReceived(message.split('\n'), folder);
}

/** The text without its last line breaks; cut where it is longer than that of any accepted push. */
function untilEmptyLine(channel: Duplex): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const end = (message: string | undefined) => {
      channel.off('data', onData).off('close', onClose);
      resolve(message);
    };
    const onData = (chunk: string) => {
      text += chunk;
      // The first line may be empty itself: a push that only removes refs has no objects.
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
  if (before === undefined || after === undefined || ref === undefined) throw new Error('the hook sent a line that git does not send');
  return { before: before === NONE ? undefined : before, after: after === NONE ? undefined : after, ref };
}
