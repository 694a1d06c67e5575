/**
 * Where each key of a TOML text stands. The parser gives values without places, and an error that names no line makes the
 * reader search. The text must have parsed: this scanner follows the grammar and checks nothing.
 */

/** 1-based; the column counts UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export type Path = readonly (string | number)[];

export interface Positions {
  /** Of the key itself, or of the nearest table above it that is written down; the text's start when there is none. */
  of(path: Path): Position;
  /** Whether this very path is written in the text. */
  has(path: Path): boolean;
}

const start: Position = { line: 1, column: 1 };
const keyOf = (path: Path): string => JSON.stringify(path);

export function scanPositions(text: string): Positions {
  const found = new Map<string, Position>();
  new Scanner(text, found).document();
  return {
    has: (path) => found.has(keyOf(path)),
    of: (path) => {
      for (let length = path.length; length > 0; length--) {
        const position = found.get(keyOf(path.slice(0, length)));
        if (position !== undefined) return position;
      }
      return start;
    },
  };
}

interface Segment {
  readonly name: string;
  readonly at: number;
}

class Scanner {
  private at = 0;
  /** How many elements an array of tables has so far, by its path. */
  private readonly counts = new Map<string, number>();
  private readonly lineStarts: number[] = [0];
  private readonly text: string;
  private readonly found: Map<string, Position>;

  constructor(text: string, found: Map<string, Position>) {
    this.text = text;
    this.found = found;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.lineStarts.push(at + 1);
  }

  document(): void {
    let table: Path = [];
    for (this.skip(); this.at < this.text.length; this.skip()) {
      if (this.text[this.at] === "[") table = this.header();
      else this.pair(table);
    }
  }

  /** `[a.b]` or `[[a.b]]`; gives the path of the table that the following pairs are in. */
  private header(): Path {
    const list = this.text[this.at + 1] === "[";
    this.at += list ? 2 : 1;
    const segments = this.key();
    this.at += list ? 2 : 1;
    const path = this.record([], segments, !list);
    if (!list) return path;
    const count = this.counts.get(keyOf(path)) ?? 0;
    this.counts.set(keyOf(path), count + 1);
    const element = [...path, count];
    this.note(path, segments.at(-1)?.at ?? this.at);
    this.note(element, segments.at(-1)?.at ?? this.at);
    return element;
  }

  private pair(table: Path): void {
    const path = this.record(table, this.key(), true);
    this.at += 1;
    this.skip();
    this.value(path);
  }

  /** Notes every part of a dotted key; a part that names an array of tables means its newest element. */
  private record(base: Path, segments: readonly Segment[], last: boolean): Path {
    let path = base;
    segments.forEach(({ name, at }, index) => {
      path = [...path, name];
      if (index < segments.length - 1 || last) {
        this.note(path, at);
        const count = this.counts.get(keyOf(path));
        if (count !== undefined) path = [...path, count - 1];
      }
    });
    return path;
  }

  private note(path: Path, at: number): void {
    const key = keyOf(path);
    if (!this.found.has(key)) this.found.set(key, this.position(at));
  }

  private position(at: number): Position {
    let low = 0;
    let high = this.lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.lineStarts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - (this.lineStarts[low] ?? 0) + 1 };
  }

  /** A dotted key, up to the `=` or `]` after it. */
  private key(): readonly Segment[] {
    const segments: Segment[] = [];
    for (;;) {
      this.skip();
      const at = this.at;
      const quote = this.text[at];
      if (quote === '"' || quote === "'") {
        this.string();
        segments.push({ name: unquote(this.text.slice(at, this.at)), at });
      } else {
        while (/[A-Za-z0-9_-]/.test(this.text[this.at] ?? "")) this.at++;
        segments.push({ name: this.text.slice(at, this.at), at });
      }
      this.skip();
      if (this.text[this.at] !== ".") return segments;
      this.at++;
    }
  }

  private value(path: Path): void {
    const first = this.text[this.at];
    if (first === '"' || first === "'") this.string();
    else if (first === "{") this.inlineTable(path);
    else if (first === "[") this.array(path);
    else while (this.at < this.text.length && !/[,\]}\n#]/.test(this.text[this.at] ?? "")) this.at++;
  }

  private inlineTable(path: Path): void {
    this.at++;
    for (this.skip(); this.at < this.text.length && this.text[this.at] !== "}"; this.skip()) {
      if (this.text[this.at] === ",") this.at++;
      else this.pair(path);
    }
    this.at++;
  }

  private array(path: Path): void {
    this.at++;
    let index = 0;
    for (this.skip(); this.at < this.text.length && this.text[this.at] !== "]"; this.skip()) {
      if (this.text[this.at] === ",") {
        this.at++;
        continue;
      }
      const element = [...path, index++];
      this.note(element, this.at);
      this.value(element);
    }
    this.at++;
  }

  /** One string of any of the four kinds; the position ends behind its last quote. */
  private string(): void {
    const quote = this.text[this.at] ?? "";
    const triple = this.text.startsWith(quote.repeat(3), this.at);
    const end = triple ? quote.repeat(3) : quote;
    this.at += end.length;
    while (this.at < this.text.length && !this.text.startsWith(end, this.at)) {
      this.at += quote === '"' && this.text[this.at] === "\\" ? 2 : 1;
    }
    this.at += end.length;
    // Up to two quotes may stand right before the closing three.
    if (triple) while (this.text[this.at] === quote) this.at++;
  }

  /** White space, line ends and comments. */
  private skip(): void {
    for (; this.at < this.text.length; this.at++) {
      const unit = this.text[this.at] ?? "";
      if (unit === "#") while (this.at + 1 < this.text.length && this.text[this.at + 1] !== "\n") this.at++;
      else if (!/[\s\uFEFF]/.test(unit)) return;
    }
  }
}

/** The name that a quoted key spells. TOML's escapes are JSON's, and \e, \x and \U. */
function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  if (quoted.startsWith("'")) return inner;
  return inner.replace(/\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))/gs, (_all, x, u, long, one) => {
    const code: unknown = x ?? u ?? long;
    if (typeof code === "string") return String.fromCodePoint(Number.parseInt(code, 16));
    return escapes[String(one)] ?? String(one);
  });
}

const escapes: Readonly<Record<string, string>> = { b: "\b", t: "\t", n: "\n", f: "\f", r: "\r", e: "\u001B" };
