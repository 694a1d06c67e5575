/** What a command may touch of the process that runs it: its streams, its environment, its terminal. */
import { createInterface } from "node:readline/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { isatty } from "node:tty";

export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data. */
  out(text: string): void;
  /** Resolves when everything written is out: a slow reader holds the writer back, and a process that ends first would cut it off. */
  drained(): Promise<void>;
  /** Messages and progress. */
  err(text: string): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  readonly inIsTerminal: boolean;
  readonly columns: number;
  readonly paint: Paint;
  /** For what goes to err. */
  readonly paintErr: Paint;
  /** Where contexts and clusters are kept, as an absolute path: AETHER_HOME, or ~/.aether. */
  readonly home: string;
  /** One line from the terminal. */
  ask(question: string): Promise<string>;
}

export type Color = "green" | "red" | "yellow" | "dim" | "bold";
export type Paint = (color: Color, text: string) => string;

const codes: Record<Color, readonly [number, number]> = {
  green: [32, 39],
  red: [31, 39],
  yellow: [33, 39],
  dim: [2, 22],
  bold: [1, 22],
};

export const painter =
  (enabled: boolean): Paint =>
  (color, text) =>
    enabled ? `\u001B[${codes[color][0]}m${text}\u001B[${codes[color][1]}m` : text;

/** The shell of this process. A reader that goes away (`| head`) ends it quietly. */
export function processShell(noColor: boolean): Shell {
  const { env, stdout, stderr, stdin } = process;
  const [inIsTerminal, outIsTerminal, errIsTerminal] = [isatty(0), isatty(1), isatty(2)];
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  const wantsColor = !noColor && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  return {
    env,
    out: (text) => void stdout.write(text),
    drained: async () => {
      await Promise.all([stdout, stderr].map((stream) => new Promise<void>((done) => void stream.write("", () => done()))));
    },
    err: (text) => void stderr.write(text),
    outIsTerminal,
    errIsTerminal,
    inIsTerminal,
    columns: stdout.columns ?? 120,
    paint: painter(wantsColor && outIsTerminal),
    paintErr: painter(wantsColor && errIsTerminal),
    home: resolve((env["AETHER_HOME"] ?? "") === "" ? join(homedir(), ".aether") : (env["AETHER_HOME"] ?? "")),
    ask: async (question) => {
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return await lines.question(question);
      } finally {
        lines.close();
      }
    },
  };
}
