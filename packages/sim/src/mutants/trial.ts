/** Lives seeds on a copy of the sources, in a process of its own, until one of them shows that something is wrong. */
import { fork } from "node:child_process";
import { dirname, join } from "node:path";

/** What the process with the lives says. */
export type FromLives =
  | { readonly told: "loaded" }
  | { readonly told: "lived"; readonly seed: number; readonly violation: Violated | null };

interface Violated {
  readonly rule: string;
  readonly message: string;
}

export type Outcome =
  /** A checker, or an assertion of the product, noticed at this seed. */
  | { readonly how: "caught"; readonly seed: number; readonly rule: string; readonly message: string }
  | { readonly how: "sound"; readonly seeds: number }
  /** A life did not come to its end in real time, and none of the simulator's own limits said so. */
  | { readonly how: "hung"; readonly seed: number }
  /** The patch makes no program: that proves nothing. */
  | { readonly how: "broken"; readonly message: string };

/** Seconds that one life may take: many times what one takes that waits for convergence in vain, on a busy machine. */
const lifeSecondsMax = 1_200;
/** Of what a process writes before it dies, so much is kept. */
const wordsMax = 8_192;

/** Faults of a patch that is no program, rather than of a product that does wrong. */
const noProgram = /\b(SyntaxError|ReferenceError|TypeError|ERR_[A-Z_]+)\b/;

/** The seeds 1 to `last`. */
export const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

/** Lives the seeds in their order, up to the first that is not sound, with the program given. Never rejects. */
export function livesOf(program: string, seeds: readonly number[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_COMPILE_CACHE: join(dirname(program), "compiled") };
    const child = fork(program, [JSON.stringify(seeds)], { stdio: ["ignore", "ignore", "pipe", "ipc"], execArgv: [], env });
    let loaded = false;
    let lived = 0;
    let words = "";
    const seed = (): number => seeds[lived] ?? 0;
    let outcome: Outcome | null = null;
    let seconds = 0;
    const hung = (): void => {
      outcome ??= { how: "hung", seed: seed() };
      child.kill("SIGKILL");
    };
    // Counted one by one: while both processes are stopped none passes.
    const limit = setInterval(() => (seconds += 1) > lifeSecondsMax && hung(), 1_000);
    child.stderr?.on("data", (data: Buffer) => (words = `${words}${data.toString()}`.slice(0, wordsMax)));
    child.on("message", (told: FromLives) => {
      seconds = 0;
      if (told.told === "loaded") loaded = true;
      else if (told.violation === null) lived += 1;
      else outcome ??= judge(told.seed, told.violation);
    });
    child.on("close", (code) => {
      clearInterval(limit);
      if (code === 0 && loaded) outcome ??= { how: "sound", seeds: lived };
      if (!loaded) outcome ??= { how: "broken", message: words };
      resolve(outcome ?? judge(seed(), { rule: "the process ended", message: words }));
    });
  });
}

function judge(seed: number, { rule, message }: Violated): Outcome {
  if (noProgram.test(message)) return { how: "broken", message: `seed ${seed}: ${message}` };
  return { how: "caught", seed, rule: ruleOf(rule, message), message: message.split("\n", 1)[0] ?? "" };
}

/** Who ended itself is asked for what ended it: a checker's rule that reached it, or an assertion of its own. */
function ruleOf(rule: string, message: string): string {
  const [, passed] = /\bViolation: ([^:\n]+):/.exec(message) ?? [];
  if (passed !== undefined) return passed;
  if (rule !== "no member ends itself" && rule !== "the process ended" && rule !== "the simulator itself") return rule;
  const said = /\b(?:Broken|Error|Damaged|StateLost|LogFailed|SnapshotDamaged): ([^\n]{1,90})/.exec(message)?.[1] ?? message;
  return `assertion: ${said.replaceAll(/\d+/g, "#").split("\n", 1)[0]}`;
}
