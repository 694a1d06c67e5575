/** What a commit changes of what is wanted, counted and partly named; and how its message says so. */
import type { Registry } from "@aether/core/kernel/registry";
import type { Moment } from "../types.ts";

export type ChangeKind = "created" | "changed" | "removed";
/** So many changes are named in a message: the first by noun and id. */
const namedMax = 20;
const nameCharsMax = 80;

interface Named {
  readonly noun: string;
  readonly id: string;
  readonly kind: ChangeKind;
}

/** The same changes give the same message, in whatever order they come. */
export class Changes {
  total = 0;
  private readonly order: ReadonlyMap<string, number>;
  private readonly folders: ReadonlyMap<string, string>;
  private readonly byNoun = new Map<string, number>();
  private readonly byCount = new Map<string, number>();
  /** The first ones, in order, and some more until the next tidying. */
  private named: Named[] = [];

  constructor(registry: Registry) {
    this.order = new Map(registry.nouns.map(({ name }, at) => [name, at]));
    this.folders = new Map(registry.nouns.flatMap(({ name, backup }) => (backup === undefined ? [] : [[name, backup.folder]])));
  }

  add(noun: string, id: string, kind: ChangeKind): void {
    this.total++;
    this.byNoun.set(noun, (this.byNoun.get(noun) ?? 0) + 1);
    if (kind !== "changed") this.byCount.set(noun, (this.byCount.get(noun) ?? 0) + (kind === "created" ? 1 : -1));
    this.named.push({ noun, id, kind });
    if (this.named.length >= 8 * namedMax) this.named = this.first();
  }

  /** How many more things of the noun there are than before. */
  more(noun: string): number {
    return this.byCount.get(noun) ?? 0;
  }

  /** Of a commit's message. */
  subject(): string {
    if (this.total === 0) return "nothing wanted has changed";
    const named = this.first();
    const nouns = [...this.byNoun].toSorted(([a], [b]) => this.rank(a) - this.rank(b));
    return nouns
      .map(([noun, count]) => {
        const only = named.find((each) => each.noun === noun);
        return count === 1 && only !== undefined ? `${noun} ${shown(only.id)}` : `${count} ${this.folders.get(noun) ?? noun}`;
      })
      .join(", ");
  }

  /** One line for each of the first changes. */
  lines(): string[] {
    const lines = this.first().map(({ noun, id, kind }) => `${kind} ${noun} ${shown(id)}`);
    return this.total > lines.length ? [...lines, `and ${this.total - lines.length} more`] : lines;
  }

  private first(): Named[] {
    return this.named.toSorted((a, b) => this.rank(a.noun) - this.rank(b.noun) || (a.id < b.id ? -1 : 1)).slice(0, namedMax);
  }

  private rank(noun: string): number {
    return this.order.get(noun) ?? this.order.size;
  }
}

/** Git takes no NUL in a message, and a line is a line. */
const printable = (text: string): string => text.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\ufffd");

function shown(text: string): string {
  const cut = text.length > nameCharsMax ? `${text.slice(0, nameCharsMax)}…` : text;
  return printable(cut);
}

/** What a message says beside the changes. */
export interface MessageFacts {
  readonly index: number;
  readonly at: number;
  readonly things: number;
  readonly changed: number;
  readonly cause: string;
}

const causeCharsMax = 200;

export function messageOf(changes: Changes, moment: Pick<Moment, "index" | "at">, things: number, cause: string): string {
  const { index, at } = moment;
  const lines = changes.lines();
  return [
    changes.subject(),
    "",
    ...lines,
    ...(lines.length > 0 ? [""] : []),
    `Index: ${index}`,
    `Time: ${new Date(at).toISOString()}`,
    `Things: ${things}`,
    `Changed: ${changes.total}`,
    `Cause: ${printable(cause.slice(0, causeCharsMax))}`,
  ].join("\n");
}

/** Null for a message that is not of a backup. */
export function parseMessage(message: string): (MessageFacts & { readonly subject: string }) | null {
  const facts = /\nIndex: (\d{1,16})\nTime: (\S{1,40})\nThings: (\d{1,10})\nChanged: (\d{1,10})\nCause: (.*)\n?$/.exec(message);
  if (facts === null) return null;
  const [, index, time = "", things, changed, cause = ""] = facts;
  const at = Date.parse(time);
  if (Number.isNaN(at)) return null;
  const subject = message.slice(0, message.indexOf("\n"));
  return { subject, index: Number(index), at, things: Number(things), changed: Number(changed), cause };
}
