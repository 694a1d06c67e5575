/** Runs the steps in order: progress for the operator, the journal for the next run, and an account of what stands when one fails. */
import type { Redacted } from "effect/Redacted";
import type { CloudProvider } from "@aether/cloud/provider";
import { clusterLabels } from "@aether/cloud/labels";
import { provider, providerFor } from "../cluster/provider-call.ts";
import type { ClusterFolder } from "../context/home.ts";
import { exit, Failure } from "../shell/failure.ts";
import { stepProgress, type StepProgress } from "../shell/progress.ts";
import type { Shell } from "../shell/shell.ts";
import type { ClusterPlan } from "./cluster-plan.ts";
import type { Maker } from "./maker.ts";
import { readJournal, stepNames, stepNamesFromBackup, writeJournal, type Journal, type StepName } from "./journal.ts";

/** What the steps from 4 on share. */
export interface Bootstrap {
  readonly shell: Shell;
  readonly steps: Steps;
  readonly plan: ClusterPlan;
  readonly folder: ClusterFolder;
  readonly provider: CloudProvider;
  readonly maker: Maker;
  /** The cluster secret. */
  readonly secret: Redacted;
  /** The longest wait in one step. */
  readonly waitMs: number;
}

/** A step's result, and what it did in a few words. */
export interface Did<A> {
  readonly result: A;
  readonly detail: string;
}

export class Steps {
  private readonly progress: StepProgress;
  private readonly names: readonly StepName[];
  private current: StepName = stepNames[0];
  private running = false;
  private aborted = false;
  private folder: ClusterFolder | null = null;
  private writing: Promise<void> = Promise.resolve();
  private kept: Journal | null = null;
  private readonly shell: Shell;

  constructor(shell: Shell, fromBackup: boolean) {
    this.shell = shell;
    this.names = fromBackup ? stepNamesFromBackup : stepNames;
    this.progress = stepProgress(this.names, { ...shell, now: () => performance.now() });
  }

  /** The journal as it was last written. */
  get journal(): Journal {
    if (this.kept === null) throw new Error("the journal is opened before it is read");
    return this.kept;
  }

  /** Reads the journal of an earlier run, or begins one. From here on every step is written down before it acts. */
  async open(plan: ClusterPlan, folder: ClusterFolder): Promise<void> {
    this.folder = folder;
    this.kept = (await readJournal(folder.journal)) ?? newJournal(plan);
  }

  async run<A>(name: StepName, act: () => Promise<Did<A>>): Promise<A> {
    if (this.aborted) throw new Failure(exit.interrupted, "interrupted", "");
    this.current = name;
    if (this.kept !== null) await this.note("started");
    this.running = true;
    this.progress.begin(this.number - 1);
    const { result, detail } = await act();
    if (this.kept !== null) await this.note("done");
    this.progress.done(detail);
    this.running = false;
    return result;
  }

  /** From 1. */
  private get number(): number {
    return this.names.indexOf(this.current) + 1;
  }

  /** Live detail of the running step. */
  say(detail: string): void {
    this.progress.say(detail);
  }

  /** Changes the journal, durably, before what it says is done. Nodes that are made side by side write one after the other. */
  write(change: Partial<Journal> | ((journal: Journal) => Partial<Journal>)): Promise<void> {
    const { folder } = this;
    if (folder === null) throw new Error("the journal is opened before it is written");
    const written = this.writing.then(async () => {
      this.kept = { ...this.journal, ...(typeof change === "function" ? change(this.journal) : change) };
      await writeJournal(folder.journal, this.kept);
    });
    // One that failed is its writer's to know; the next one tries by itself.
    this.writing = written.catch(() => undefined);
    return written;
  }

  /** A ready cluster's journal is not touched by a run that only verifies. */
  private async note(state: "started" | "done" | "failed"): Promise<void> {
    if (this.journal.state === "ready") return;
    await this.write({ step: { number: this.number, name: this.current, state, at: Date.now() } });
  }

  /** No further step begins: the next one fails instead. */
  abort(): void {
    this.aborted = true;
  }

  /** Ctrl-C. Nothing is undone: the journal has it all. */
  interrupted(): void {
    if (this.running) this.progress.failed(`interrupted; ${this.howToGoOn()}`);
  }

  /** Adds to a step's failure what exists now and how to go on. */
  async explain(failure: Failure): Promise<Failure> {
    if (!this.running) return failure;
    if (this.kept !== null && this.folder !== null) await this.note("failed").catch(() => undefined);
    this.progress.failed(failure.message.split("\n")[0] ?? "");
    const where = `step ${this.number}/${this.names.length}, ${this.current}: ${failure.message}`;
    const hint = [failure.hint, ...(await this.whatExists()), this.howToGoOn()].filter((line) => line !== "").join("\n      ");
    return new Failure(failure.code, where, hint, failure.reason);
  }

  private howToGoOn(): string {
    if (this.kept === null || this.folder === null) return "";
    if (this.kept.state === "ready") return "the cluster stays as it is";
    return `go on: run the same command again; clean up: aether cluster destroy ${this.kept.name} --yes`;
  }

  private async whatExists(): Promise<readonly string[]> {
    if (this.kept?.identity == null || this.folder === null) return this.kept === null ? [] : ["exists now: no instance"];
    const { kept, folder, shell } = this;
    const list = async () => provider((await providerFor(kept, folder, shell)).compute.list(clusterLabels(kept.name)));
    const instances = await list().catch(() => null);
    if (instances === null) return [`exists now: cluster id ${this.kept.identity.clusterId}; the instances could not be listed`];
    const words = instances.map((instance) => `${instance.name} ${instance.rawState}`).join(", ");
    return [`exists now: cluster id ${this.kept.identity.clusterId}; instances: ${words === "" ? "none" : words}`];
  }
}

const newJournal = (plan: ClusterPlan): Journal => ({
  format: 1,
  name: plan.name,
  provider: plan.cloud?.provider ?? "local",
  ...(plan.cloud === null ? {} : { cloud: plan.cloud }),
  state: "forming",
  createdAt: Date.now(),
  configuration: plan.configuration,
  settings: plan.settings,
  identity: null,
  formed: false,
  step: { number: 1, name: stepNames[0], state: "done", at: Date.now() },
});
