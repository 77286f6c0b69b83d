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
