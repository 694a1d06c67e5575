/**
 * A daemon that writes down when each step of a commit happened: a copy of the bundle with a call put in at each step. The last
 * 131,072 stamps stay in memory, 24 bytes each, and are written to `<folder>/<pid>.stamps` on SIGUSR2.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** What is stamped. A follower knows some of them. */
export const steps = [
  "asked",
  "decided",
  "turn",
  "sending",
  "sent",
  "writing",
  "handed",
  "durable",
  "received",
  "committed",
  "applied",
  "answering",
  "answered",
] as const;
export type Step = (typeof steps)[number];

/** One stamp: which step, of which entry (0 where the step does not know), microseconds of CLOCK_MONOTONIC. */
export interface Stamp {
  readonly step: Step;
  readonly index: number;
  readonly us: number;
}

const ring = 1 << 17;
const stampBytes = 24;

const number = (step: Step): number => steps.indexOf(step);
const mark = (step: Step, index = "0"): string => `__stamp(${number(step)}, ${index})`;
/** The last entry that envelopes carry or acknowledge. */
const told = (envelopes: string): string => `__told(${envelopes})`;

const prelude = (folder: string): string => `
const __ring = new Float64Array(${ring * 3}); let __stamps = 0;
function __stamp(step, index) {
  const at = (__stamps++ % ${ring}) * 3, time = process.hrtime();
  __ring[at] = step; __ring[at + 1] = index; __ring[at + 2] = time[0] * 1e6 + time[1] / 1e3;
}
function __told(envelopes) {
  const m = envelopes.at(-1)?.m;
  return m?.t === "app" ? (m.entries.at(-1)?.index ?? 0) : m?.t === "appResp" && m.reject === null ? m.index : 0;
}
process.on("SIGUSR2", async () => {
  const { renameSync, writeFileSync } = await import("node:fs"), file = ${JSON.stringify(`${folder}/`)} + process.pid + ".stamps";
  writeFileSync(file + ".new", new Uint8Array(__ring.buffer, 0, Math.min(__stamps, ${ring}) * ${stampBytes}));
  renameSync(file + ".new", file);
});
`;

/** Where a stamp goes: the text that the bundle must hold exactly once, and what takes its place. */
const places: readonly (readonly [find: string, replace: string])[] = [
  ["onMessage: (data) => {\n", `onMessage: (data) => {\n ${mark("asked")};\n`],
  [
    "let outcome = this.port.propose([bytes2]);",
    `let outcome = this.port.propose([bytes2]); ${mark("decided", "outcome.first ?? 0")};`,
  ],
  ["this.stats.turns += 1,", `${mark("turn")}, this.stats.turns += 1,`],
  [
    "this.#transport.send(leaving), leaving",
    `${mark("sending", told("leaving"))}, this.#transport.send(leaving), ${mark("sent", told("leaving"))}, leaving`,
  ],
  ["await this.#write(ops2),", `(${mark("writing", "last.index")}, await this.#write(ops2), ${mark("durable", "last.index")}),`],
  [
    "await this.#keyValue.batch(ops2, { sync: !0 }), this.#syncTimes",
    `const handed = this.#keyValue.batch(ops2, { sync: !0 }); ${mark("handed")}; await handed, this.#syncTimes`,
  ],
  [
    "(this.onRecv(decoded.envelopes), !0)",
    `(${mark("received", told("decoded.envelopes"))}, this.onRecv(decoded.envelopes), !0)`,
  ],
  [
    "this.#apply.add(r.apply), this.#apply.run(this.#spent)",
    [
      `(r.apply.length > 0 && ${mark("committed", "r.apply.at(-1).index")})`,
      "this.#apply.add(r.apply), this.#apply.run(this.#spent)",
      `(r.apply.length > 0 && ${mark("applied", "r.apply.at(-1).index")})`,
    ].join(", "),
  ],
  ["socket.send(bytes2, relax),", `(${mark("answering")}, socket.send(bytes2, relax), ${mark("answered")}),`],
];

/** Writes the copy below bench/.work and gives its path. */
export function stampedBuild(program: string, folder: string): string {
  const place = join(import.meta.dirname, ".work/stamped");
  mkdirSync(place, { recursive: true });
  const copy = join(place, basename(program));
  writeFileSync(copy, withStamps(readFileSync(program, "utf8"), folder));
  return copy;
}

/** Throws when a step is not found exactly once. */
export function withStamps(bundle: string, folder: string): string {
  let text = bundle;
  for (const [find, replace] of places) {
    const found = text.split(find).length - 1;
    if (found !== 1) throw new Error(`found ${found} times in the bundle, has it another name now? ${find}`);
    text = text.replace(find, () => replace);
  }
  // Behind the first line, which may be for the shell; imports come first wherever they stand.
  const line = text.indexOf("\n") + 1;
  return `${text.slice(0, line)}${prelude(folder)}${text.slice(line)}`;
}

/** What one process wrote down, in order. */
export function readStamps(file: string): Stamp[] {
  const bytes = readFileSync(file);
  const stamps: Stamp[] = [];
  for (let at = 0; at + stampBytes <= bytes.length; at += stampBytes) {
    const step = steps[bytes.readDoubleLE(at)];
    if (step !== undefined) stamps.push({ step, index: bytes.readDoubleLE(at + 8), us: bytes.readDoubleLE(at + 16) });
  }
  return stamps.toSorted((a, b) => a.us - b.us);
}
