/**
 * A command is data: parsing, help and completions are all made from it, and its code is loaded only when it runs.
 */
import type { Shell } from "./shell.ts";

export type FlagKind = "switch" | "text" | "integer" | "duration";

/** What a shell may offer for a value; the first four ask the cluster or the operator's files. */
export type Completion = "node" | "setting" | "context" | "commit" | "file" | readonly string[];

export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly kind: FlagKind;
  /** What stands for the value in help, "FILE". */
  readonly placeholder?: string;
  readonly about: string;
  readonly required?: boolean;
  /** It may be given again and again; only texts may. */
  readonly many?: boolean;
  readonly completion?: Completion;
}

export interface Argument {
  readonly name: string;
  readonly about: string;
  readonly optional?: boolean;
  readonly completion?: Completion;
}

export interface Example {
  readonly line: string;
  readonly about: string;
}

export type OutputFormat = "table" | "wide" | "json";

export interface CommandSpec {
  /** ["cluster", "status"]. */
  readonly path: readonly string[];
  /** One line, without a full stop. */
  readonly summary: string;
  /** Further lines of help. */
  readonly about?: string;
  readonly examples: readonly Example[];
  readonly args: readonly Argument[];
  readonly flags: readonly Flag[];
  readonly outputs: readonly OutputFormat[];
  /** Not listed in help and completions. */
  readonly hidden?: boolean;
  readonly load: () => Promise<{ readonly run: Run }>;
}

/** Resolves with the exit code; expected failures are thrown as Failure. */
export type Run = (call: Invocation, shell: Shell) => Promise<number>;

/** A parsed command line. The getters throw on a name that the command does not declare: that is a defect, not a usage error. */
export interface Invocation {
  readonly command: CommandSpec;
  readonly output: OutputFormat;
  readonly args: Readonly<Record<string, string | undefined>>;
  text(flag: string): string | undefined;
  /** All values of a flag that may be given many times, in their order. */
  texts(flag: string): readonly string[];
  integer(flag: string): number | undefined;
  /** Milliseconds. */
  duration(flag: string): number | undefined;
  switched(flag: string): boolean;
  /** An argument that the command requires. */
  arg(name: string): string;
}

/** A group of commands, "cluster". */
export interface Group {
  readonly path: readonly string[];
  readonly summary: string;
}

/** Flags that every command takes. */
export const globalFlags: readonly Flag[] = [
  {
    name: "output",
    short: "o",
    kind: "text",
    placeholder: "FORMAT",
    about: "table, wide or json",
    completion: ["table", "wide", "json"],
  },
  { name: "context", kind: "text", placeholder: "NAME", about: "which cluster (or AETHER_CONTEXT)", completion: "context" },
  { name: "endpoint", kind: "text", placeholder: "HOST:PORT", about: "ask this member instead of the context's" },
  { name: "no-color", kind: "switch", about: "plain text (or NO_COLOR)" },
  { name: "help", short: "h", kind: "switch", about: "this text" },
];
