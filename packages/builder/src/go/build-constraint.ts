/** The package of a file that Go compiles into a program for Linux; undefined for a file that its name or its head leaves out. */
export function compiledPackage(name: string, head: string): string | undefined {
  const { lines, packageName } = readHead(head);
  return fitsName(name) && fitsHead(lines) ? packageName : undefined;
}

const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;
const SYSTEMS = words(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos',
);
const ARCHITECTURES = words(
  '386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm',
);
/** As in our build: no cgo. */
const TAGS = new Set(['linux', 'unix', ARCHITECTURE, 'gc', 'timetzdata']);
/** A longer constraint decides nothing here: it is untrusted, and each bracket in it costs stack. */
const MAX_CONSTRAINT = 1000;

interface Head {
  /** Comment lines before the package clause; an empty text is an empty line. */
  lines: string[];
  packageName: string | undefined;
}

function readHead(text: string): Head {
  const lines: string[] = [];
  let inBlock = false;
  for (const raw of text.replace(/^\uFEFF/, '').split('\n')) {
    let line = raw.trim();
    const wasBlock = inBlock;
    while (inBlock || line.startsWith('/*')) {
      const end = line.indexOf('*/', inBlock ? 0 : 2);
      inBlock = end < 0;
      if (inBlock) break;
      line = line.slice(end + 2).trim();
    }
    if (inBlock) continue;
    if (line !== '' && !line.startsWith('//')) return { lines, packageName: /^package\s+(\w+)/.exec(line)?.[1] };
    if (!wasBlock) lines.push(line);
  }
  return { lines, packageName: undefined };
}

/** `x_linux.go`, `x_windows_arm64.go`; a name without a part before it is free. */
function fitsName(name: string): boolean {
  if (/^[_.]|_test\.go$/.test(name)) return false;
  const parts = name.replace(/\..*$/, '').split('_').slice(1);
  const last = parts.at(-1) ?? '';
  if (SYSTEMS.has(last)) return hasTag(last);
  if (!ARCHITECTURES.has(last)) return true;
  const before = parts.at(-2) ?? '';
  return hasTag(last) && (!SYSTEMS.has(before) || hasTag(before));
}

/** A `//go:build` line decides alone; without one all `// +build` lines together, where an empty line follows them. */
function fitsHead(lines: readonly string[]): boolean {
  const constraint = lines.find((line) => /^\/\/go:build\s/.test(line));
  if (constraint !== undefined) return holds(constraint.slice('//go:build'.length));
  return lines
    .slice(0, lines.lastIndexOf('') + 1)
    .map((line) => /^\/\/\s*\+build\s(.*)$/.exec(line)?.[1]?.trim())
    .every((options) => options === undefined || options.split(/\s+/).some((all) => all.split(',').every(isPlainTag)));
}

function isPlainTag(term: string): boolean {
  return term.startsWith('!') ? !hasTag(term.slice(1)) : hasTag(term);
}

/** The toolchain is as new as go.mod asks, so a version of the language is there. */
function hasTag(tag: string): boolean {
  return TAGS.has(tag) || /^go1\.\d+$/.test(tag);
}

/** Whether `a && !(b || c)` holds. What is none is left to the compiler, which says what is wrong. */
function holds(constraint: string): boolean {
  if (constraint.length > MAX_CONSTRAINT) return true;
  const tokens = constraint.match(/\|\||&&|[!()]|[^\s!()&|]+/g) ?? [];
  let at = 0;
  const either = (): boolean => {
    let value = both();
    for (; tokens[at] === '||'; value = both() || value) at++;
    return value;
  };
  const both = (): boolean => {
    let value = one();
    for (; tokens[at] === '&&'; value = one() && value) at++;
    return value;
  };
  const one = (): boolean => {
    const token = tokens[at++] ?? '';
    if (token === '!') return !one();
    if (token !== '(') return hasTag(token);
    const value = either();
    at++;
    return value;
  };
  const value = either();
  return at === tokens.length ? value : true;
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(' '));
}
