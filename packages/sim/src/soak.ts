/**
 * `npm run soak -- --minutes M [--from SEED]`: life after life on all cores. The first that breaks a rule is made smaller, and
 * the command that lives it again is printed.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { live, type LifeReport } from "./life.ts";
import { commandFor, shrink } from "./shrink.ts";

const usage = `usage: npm run soak -- --minutes M [--from SEED] [--cores N]
  --minutes M   how long
  --from SEED   the first seed (default: the seconds since 1970, so that every soak lives other lives)
  --cores N     lives at a time (default: all cores)
exit code: 0 every life was sound, 1 one was not, 2 usage
`;
const tellMs = 30_000;

interface Options {
  readonly minutes: number;
  readonly from: number;
  readonly cores: number;
}

function parse(): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { minutes: text, from: text, cores: text } });
  const minutes = Number(values.minutes);
  const from = Number(values.from ?? Math.floor(Date.now() / 1000));
  const cores = Number(values.cores ?? availableParallelism());
  if (!(minutes > 0)) throw new Error("--minutes takes a number above 0");
  if (!Number.isSafeInteger(from) || from < 0) throw new Error("--from takes a whole number");
  if (!Number.isSafeInteger(cores) || cores < 1 || cores > 256) throw new Error("--cores takes a whole number from 1 to 256");
  return { minutes, from, cores };
}

class Soak {
  readonly #until: number;
  readonly #began = performance.now();
  #next: number;
  #lives = 0;
  #virtualMs = 0;
  #steps = 0;
  #broken: LifeReport | null = null;
  readonly #counts = new Map<string, number>();

  constructor({ minutes, from }: Options) {
    this.#until = this.#began + minutes * 60_000;
    this.#next = from;
  }

  /** The first broken life, or null. */
  async run(cores: number): Promise<LifeReport | null> {
    const telling = setInterval(() => process.stdout.write(`${this.progress()}\n`), tellMs);
    await Promise.all(Array.from({ length: cores }, () => this.#work()));
    clearInterval(telling);
    return this.#broken;
  }

  progress(): string {
    const seconds = (performance.now() - this.#began) / 1000;
    return `${this.#lives} lives, ${(this.#virtualMs / 3_600_000).toFixed(2)} h lived in ${seconds.toFixed(0)} s, ${this.#steps} steps`;
  }

  counted(): string {
    return [...this.#counts].map(([name, count]) => `${name.padEnd(24)} ${count}`).join("\n");
  }

  async #work(): Promise<void> {
    const worker = new Worker(join(import.meta.dirname, "soak-worker.ts"));
    try {
      while (performance.now() < this.#until && this.#broken === null) {
        const seed = this.#next;
        this.#next += 1;
        this.#take(await ask(worker, seed));
      }
    } finally {
      await worker.terminate();
    }
  }

  #take(report: LifeReport): void {
    this.#lives += 1;
    this.#virtualMs += report.virtualMs;
    this.#steps += report.steps;
    for (const [name, count] of Object.entries(report.counts)) this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
    if (report.violation !== null) this.#broken ??= report;
  }
}

function ask(worker: Worker, seed: number): Promise<LifeReport> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      worker.off("message", told).off("error", failed);
    };
    const told = (report: LifeReport): void => {
      end();
      resolve(report);
    };
    const failed = (error: Error): void => {
      end();
      reject(new Error(`seed ${seed} ended the simulator itself`, { cause: error }));
    };
    worker.on("message", told).on("error", failed);
    worker.postMessage({ seed }, []);
  });
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = parse();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}`);
    return 2;
  }
  const soak = new Soak(options);
  process.stdout.write(`from seed ${options.from}, ${options.cores} at a time\n`);
  const broken = await soak.run(options.cores);
  process.stdout.write(`${soak.counted()}\n${soak.progress()}\n`);
  if (broken === null) {
    process.stdout.write("every life was sound\n");
    return 0;
  }
  process.stdout.write(`BROKEN seed ${broken.seed}: ${broken.violation?.message}\nmaking it smaller …\n`);
  const least = await shrink({ seed: broken.seed }, broken, live);
  process.stdout.write(`${least.report.violation?.message}\nlive it again: ${commandFor(least.options)}\n`);
  return 1;
}

process.exitCode = await main();
