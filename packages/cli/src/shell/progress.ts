/**
 * Progress goes to stderr. On a terminal a list of steps is drawn again and again in place; elsewhere each step is one plain
 * line, begun when the step begins and ended when it ends, so that a log shows where a killed run stood.
 */
import { stripVTControlCharacters } from "node:util";
import type { Paint, Shell } from "./shell.ts";
import { humanDuration } from "./table.ts";

export interface StepProgress {
  /** Begins step `at` (from 0); ends the one before it as done. */
  begin(at: number): void;
  /** What the running step is at, for terminals. */
  say(detail: string): void;
  done(detail: string): void;
  failed(detail: string): void;
}

interface Drawn {
  readonly name: string;
  state: "waiting" | "running" | "done" | "failed";
  detail: string;
  startedMs: number;
  tookMs: number;
}

type Out = Pick<Shell, "err" | "errIsTerminal" | "columns" | "paintErr"> & { readonly now: () => number };

/** Steps by name, in order. */
export function stepProgress(names: readonly string[], out: Out): StepProgress {
  const steps: Drawn[] = names.map((name) => ({ name, state: "waiting", detail: "", startedMs: 0, tookMs: 0 }));
  const view = out.errIsTerminal ? listView(steps, out) : lineView(steps, out);
  let running: Drawn | undefined;
  const end = (state: "done" | "failed", detail: string): void => {
    if (running === undefined) throw new Error("no step is running");
    Object.assign(running, { state, detail, tookMs: out.now() - running.startedMs });
    view.ended(running);
    running = undefined;
  };
  return {
    begin: (at) => {
      running = steps[at];
      if (running === undefined) throw new Error(`there is no step ${at}`);
      Object.assign(running, { state: "running", detail: "", startedMs: out.now() });
      view.began(running);
    },
    say: (detail) => {
      if (running === undefined || running.detail === detail) return;
      running.detail = detail;
      view.said();
    },
    done: (detail) => end("done", detail),
    failed: (detail) => end("failed", detail),
  };
}

interface View {
  began(step: Drawn): void;
  said(): void;
  ended(step: Drawn): void;
}

/** `[ 5/12] create identity … 3 certificates (0.2 s)`, one line a step. */
function lineView(steps: readonly Drawn[], out: Out): View {
  const number = (step: Drawn): string => String(steps.indexOf(step) + 1).padStart(String(steps.length).length);
  return {
    began: (step) => out.err(`[${number(step)}/${steps.length}] ${step.name} … `),
    said: () => undefined,
    ended: (step) => {
      const verdict = step.state === "failed" ? "FAILED: " : "";
      out.err(`${verdict}${step.detail} (${humanDuration(step.tookMs)})\n`);
    },
  };
}

/** The whole list in place; each change redraws it. */
function listView(steps: readonly Drawn[], out: Out): View {
  let drawn = false;
  const draw = (): void => {
    const up = drawn ? `\u001B[${steps.length}A` : "";
    drawn = true;
    out.err(up + steps.map((step) => `\u001B[2K${cut(lineOf(step, steps, out.paintErr), step, out.columns)}\n`).join(""));
  };
  return { began: draw, said: draw, ended: draw };
}

function lineOf(step: Drawn, steps: readonly Drawn[], paint: Paint): string {
  const room = Math.max(...steps.map(({ name }) => name.length));
  const number = String(steps.indexOf(step) + 1).padStart(2);
  const name = step.name.padEnd(room);
  if (step.state === "waiting") return paint("dim", `  ${number}  ${name}`);
  if (step.state === "running") return `${paint("yellow", "▸")} ${number}  ${paint("bold", name)}  ${step.detail}`;
  const took = paint("dim", `(${humanDuration(step.tookMs)})`);
  const sign = step.state === "done" ? paint("green", "✓") : paint("red", "✗");
  return `${sign} ${number}  ${name}  ${step.detail} ${took}`;
}

/** A line that wraps would spoil the redraw: only the plain text of its detail is shortened. */
function cut(line: string, step: Drawn, columns: number): string {
  const plain = stripVTControlCharacters(line).length;
  if (plain < columns || step.detail.length <= plain - columns + 1) return line;
  const keep = step.detail.slice(0, step.detail.length - (plain - columns) - 2);
  return line.replace(step.detail, `${keep}…`);
}

/** For verbs that follow one thing to its end: each new state once, in place on a terminal. */
export interface Follow {
  say(text: string): void;
  /** Clears the line in place: what came of it goes to stdout. */
  end(): void;
}

/** On a terminal in one line, cut to its width: a line that wraps could not be taken back. */
export function follow(shell: Pick<Shell, "err" | "errIsTerminal" | "columns">): Follow {
  let last = "";
  return {
    say: (text) => {
      if (text === last) return;
      last = text;
      shell.err(shell.errIsTerminal ? `\r\u001B[2K${text.slice(0, shell.columns - 1)}` : `${text}\n`);
    },
    end: () => {
      if (shell.errIsTerminal && last !== "") shell.err("\r\u001B[2K");
    },
  };
}
