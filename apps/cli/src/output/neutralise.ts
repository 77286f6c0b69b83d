import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

// Characters that control a terminal: C0 except tab and line feed, DEL, C1, and the marks that reorder text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern has to name control characters
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The text with every control character spelled out, `\x1b` for example. */
export function neutralise(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(STEERING, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** Escapes control characters in JSON text; the value stays the same. */
export function neutraliseJson(json: string): string {
  return json.replace(STEERING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `neutralise` for a stream of bytes. */
export function neutralisedStream(): Transform {
  const decoder = new StringDecoder('utf8');
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, neutralise(decoder.write(chunk))),
    flush: (done) => done(null, neutralise(decoder.end())),
  });
}
