/** The count stands within the first so many characters. */
const COUNT_CHARS = 12;

/** Version numbers to records, as text. */
type StoredVersions = Readonly<Record<string, string>>;

/**
 * The versions of a function as JSON: their count, then a number and a record in turn. A buffer lies outside of V8's heap, so that
 * collections of that heap stay short with many functions.
 */
export type PackedVersions = Buffer;

/** All functions as they were read by now: text that this version of Kiln need not understand. */
export type StoredFunctions = ReadonlyMap<string, StoredFunction>;

export interface StoredFunction {
  /** Undefined for a function that was removed, as its versions. */
  readonly record?: string | undefined;
  readonly versions?: PackedVersions | undefined;
  /** The highest number that a version of it had. */
  readonly number?: string | undefined;
}

/** Packs the versions of each function in KEYS. */
export const PACK_VERSIONS = `
local packed = {}
for i, key in ipairs(KEYS) do
  local versions = redis.call('HGETALL', key)
  table.insert(versions, 1, #versions / 2)
  packed[i] = cjson.encode(versions)
end
return packed`;

export function pack(versions: StoredVersions): PackedVersions {
  return Buffer.from(JSON.stringify([Object.keys(versions).length, ...Object.entries(versions).flat()]));
}

/** The number of versions; parses none of them. */
export function countPacked(packed: PackedVersions): number {
  return Number.parseInt(packed.toString('latin1', 1, COUNT_CHARS), 10);
}

export function unpack(packed: PackedVersions): StoredVersions {
  const flat = JSON.parse(packed.toString()) as string[];
  const versions: Record<string, string> = {};
  for (let i = 1; i < flat.length; i += 2) versions[flat[i]!] = flat[i + 1]!;
  return versions;
}
