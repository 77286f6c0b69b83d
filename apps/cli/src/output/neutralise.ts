import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

// What makes a terminal do something other than show a character: C0 but for tab and line feed, DEL, C1, and the marks
// that reorder text so that it reads other than it is.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The text with everything that could steer a terminal written out, as `\x1b`. */
export function neutralise(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(STEERING, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** JSON that is as harmless to print; it stays the same JSON. */
export function neutraliseJson(json: string): string {
  return json.replace(STEERING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same for a stream of bytes shown on a terminal. */
export function neutralisedStream(): Transform {
  const decoder = new StringDecoder('utf8');
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(null, neutralise(decoder.write(chunk)));
    },
    flush(done) {
      done(null, neutralise(decoder.end()));
    },
  });
}
