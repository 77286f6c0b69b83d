import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { engine } from '@kiln/testing/engine';

/** A value as it could stand in a file or an answer: as it is, in hex, and in base64 wherever that begins. */
function tracesOf(value: string): Buffer[] {
  const bytes = Buffer.from(value);
  // Base64 turns three bytes into four characters: what comes before the value shifts it, and its edges mix with their neighbours.
  const inBase64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(shift === 0 ? 0 : 4, -4),
  );
  return [value, bytes.toString('hex'), ...inBase64].map((text) => Buffer.from(text));
}

/** Whether any of the values has left a trace. */
export function holds(content: Buffer | string, values: readonly string[]): boolean {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return values.flatMap(tracesOf).some((trace) => bytes.includes(trace));
}

export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Whether an image, its layers or what the engine says of it has a trace of any of the values; `bytes` is what was looked at. */
export async function imageHolds(image: string, values: readonly string[]): Promise<{ held: boolean; bytes: number }> {
  const subject = engine.getImage(image);
  let held = holds(JSON.stringify([await subject.inspect(), await subject.history()]), values);
  let tail = Buffer.alloc(0);
  let bytes = 0;
  for await (const chunk of await subject.get()) {
    const seen = Buffer.concat([tail, chunk as Buffer]);
    held ||= holds(seen, values);
    bytes += (chunk as Buffer).length;
    tail = seen.subarray(-256);
  }
  return { held, bytes };
}
