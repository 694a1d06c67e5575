/**
 * A page of the documentation, run: its ```console blocks hold commands after "$ " and what they print, and `<!-- run: COMMAND -->`
 * sets the scene without being shown. What differs from run to run (commits, indexes, times, durations, ports) is bound when it is first
 * printed and must be the same wherever the page says the same; "…" stands for anything, a line of it for any lines.
 */

export interface PageCommand {
  /** In the page, from 1. */
  readonly line: number;
  readonly text: string;
  readonly exitCode: number;
  /** What it prints, line by line; null when that is not shown. */
  readonly prints: readonly string[] | null;
}

const blockStart = "```console";
const exitNote = /\s+# exit code (\d+)$/;

/** Every command of the page, in its order. */
export function readPage(text: string): readonly PageCommand[] {
  const commands: PageCommand[] = [];
  const lines = text.split("\n");
  let block = false;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const hidden = /^<!-- run: (.*) -->$/.exec(line)?.[1];
    if (!block && hidden !== undefined) commands.push({ line: at + 1, text: hidden, exitCode: 0, prints: null });
    else if (line.trim() === blockStart) block = true;
    else if (line.trim() === "```") block = false;
    else if (block && line.startsWith("$ ")) {
      const first = at;
      const parts = [line.slice(2)];
      while (parts.at(-1)?.endsWith("\\") === true) parts.push(`\n${lines[++at] ?? ""}`);
      const whole = parts.join("");
      const prints: string[] = [];
      while (!/^\$ |^```$/.test(lines[at + 1] ?? "```")) prints.push(lines[++at] ?? "");
      const exitCode = Number(exitNote.exec(whole)?.[1] ?? 0);
      commands.push({ line: first + 1, text: whole.replace(exitNote, ""), exitCode, prints });
    } else if (block) throw new Error(`line ${at + 1} is printed by no command: ${line}`);
  }
  return commands;
}

const commitPattern = /\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{7,64}\b/;
const timePattern = /\b\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}\b/;
const indexPattern = /(?<=\b(?:index|--at-index|--from|--to) )\d+\b/;
const bindable = new RegExp([commitPattern, timePattern, indexPattern].map(({ source }) => source).join("|"), "g");
/** An entry's number before its time, as the events are shown. */
const entryNumber = /^\s*\d+(?=\s+\d{4}-\d{2}-\d{2} )/;
const loose = /…|127\.0\.0\.1:\d+|\b\d+(?:\.\d+)? s\b|\b\d+m \d{2}s\b|\b\d+h \d{2}m\b|\b\d+d\b|\s+/;
const looseAs = (piece: string): string => {
  if (piece === "…") return ".*";
  if (piece.trim() === "") return "\\s+";
  return piece.startsWith("127.") ? "127\\.0\\.0\\.1:\\d+" : "(?:\\d+(?:\\.\\d+)? s|\\d+m \\d{2}s|\\d+h \\d{2}m|\\d+d)";
};

/** What the page's names turned out to be. */
export class Bindings {
  private readonly bound = new Map<string, string>();
  private readonly indexes: ReadonlySet<string>;

  /** `page`: its whole text. A number that it calls an index somewhere is one wherever it stands alone. */
  constructor(page: string) {
    this.indexes = new Set(page.match(new RegExp(indexPattern, "g")));
  }

  /** The command as it is to be run. Throws when it names something that was not printed before. */
  fill(command: string): string {
    return command.replace(bindable, (name) => {
      const found = this.find(name);
      if (found === null) throw new Error(`${name} was not printed by any command before: ${command}`);
      return found;
    });
  }

  /** Whether the line that was printed is the page's; binds what it names anew. */
  fits(expected: string, printed: string): boolean {
    const names: string[] = [];
    const pieces = new RegExp(`${bindable.source}|${loose.source}|\\b\\d+\\b`, "g");
    const first = entryNumber.exec(expected)?.[0] ?? "";
    let pattern = first === "" ? "" : "\\s*\\d+";
    let from = first.length;
    for (const { 0: piece, index } of expected.matchAll(pieces)) {
      if (index < first.length) continue;
      pattern += literally(expected.slice(from, index));
      from = index + piece.length;
      const isName = new RegExp(`^(?:${commitPattern.source}|${timePattern.source})$`).test(piece) || this.indexes.has(piece);
      const known = isName ? this.find(piece) : null;
      if (known !== null) pattern += literally(known);
      else if (isName) {
        names.push(piece);
        pattern += `(${shapeOf(piece)})`;
      } else pattern += loose.test(piece) ? looseAs(piece) : literally(piece);
    }
    const match = new RegExp(`^${pattern}${literally(expected.slice(from))}\\s*$`).exec(printed);
    if (match === null) return false;
    for (const [at, name] of names.entries()) this.bound.set(name, match[at + 1] ?? "");
    return true;
  }

  /** All lines; null, or the first line of the page that nothing fits. */
  firstMissing(expected: readonly string[], printed: readonly string[]): string | null {
    let at = 0;
    for (let line = 0; line < expected.length; line++) {
      const wanted = expected[line] ?? "";
      if (wanted.trim() === "…") {
        const next = expected[line + 1];
        if (next === undefined) return null;
        while (at < printed.length && !this.fits(next, printed[at] ?? "")) at++;
        if (at === printed.length) return next;
        at++;
        line++;
      } else if (at < printed.length && this.fits(wanted, printed[at] ?? "")) at++;
      else return wanted;
    }
    return at === printed.length ? null : `(nothing more, but there was: ${printed[at]})`;
  }

  /** A shorter form of a commit that is known is known too. */
  private find(name: string): string | null {
    for (const [known, value] of this.bound) {
      if (known === name) return value;
      if (commitPattern.test(name) && (known.startsWith(name) || name.startsWith(known)) && value.length >= name.length) {
        return value.slice(0, name.length);
      }
    }
    return null;
  }
}

function shapeOf(name: string): string {
  if (timePattern.test(name)) return timePattern.source;
  return /^\d+$/.test(name) ? "\\d+" : `[0-9a-f]{${name.length}}`;
}

const literally = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
