/**
 * The daemon's log: one line per event on standard output, logfmt, quiet on the hot path. A line is
 * `<ISO time> <level> <event> key=value …`; values with spaces, quotes or control characters are JSON strings.
 */

import { writeFileSync } from "node:fs";

export type Level = "info" | "warn" | "error";
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /** The same log with fields that every line carries. */
  with(fields: Fields): Log;
}

/** Longest value written; what is cut shows as `…`. */
const valueCharsMax = 2_000;

/** Renders one line without its line end. Pure, so that the format has tests. */
export function renderLine(at: Date, level: Level, event: string, fields: Fields): string {
  let line = `${at.toISOString()} ${level} ${event}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    line += ` ${key}=${renderValue(value)}`;
  }
  return line;
}

function renderValue(value: string | number | boolean | null): string {
  if (typeof value !== "string") return String(value);
  const text = value.length > valueCharsMax ? `${value.slice(0, valueCharsMax)}…` : value;
  return /^[^\s"=\\\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text);
}

/** A log that hands each line to `write`; `now` gives the time of a line. */
export function makeLog(write: (line: string) => void, now: () => Date, base: Fields = {}): Log {
  const emit = (level: Level, event: string, fields: Fields = {}): void =>
    write(renderLine(now(), level, event, { ...base, ...fields }));
  return {
    info: (event, fields) => emit("info", event, fields),
    warn: (event, fields) => emit("warn", event, fields),
    error: (event, fields) => emit("error", event, fields),
    with: (fields) => makeLog(write, now, { ...base, ...fields }),
  };
}

const standardOutput = 1;

/** The process's log: whole lines to standard output. */
export function standardLog(base: Fields): Log {
  const now = (): Date => new Date();
  return makeLog(
    lossyWriter(
      // Not process.stdout: a file system without space would break that stream for good, and the daemon with it.
      (text) => writeFileSync(standardOutput, text),
      (lost) => renderLine(now(), "warn", "log-lines-lost", { ...base, lost }),
    ),
    now,
    base,
  );
}

/**
 * Writes lines with `write`. One that cannot be written is lost, and so is nothing else: the next line that can be says with
 * `apology` how many were.
 */
export function lossyWriter(write: (text: string) => void, apology: (lost: number) => string): (line: string) => void {
  let lost = 0;
  return (line) => {
    try {
      // A line that was cut off must not run into the next one.
      write(lost === 0 ? `${line}\n` : `\n${apology(lost)}\n${line}\n`);
      lost = 0;
    } catch {
      lost++;
    }
  };
}
