/** As much of a systemd unit as the machine room obeys. */

export interface UnitFile {
  /** Command lines, each split at its spaces, without systemd's prefixes. */
  readonly before: readonly (readonly string[])[];
  readonly command: readonly string[];
  /** Below /var/lib. */
  readonly stateDirectory: string | null;
  readonly restart: { readonly onFailure: boolean; readonly afterMs: number; readonly notOn: ReadonlySet<number> };
  readonly stopMs: number;
}

/** Throws on a unit without ExecStart. */
export function parseUnit(text: string): UnitFile {
  const lines = text.split("\n").map((line) => /^(\w+)=(.*)$/.exec(line));
  const all = (key: string): readonly string[] => lines.flatMap((found) => (found?.[1] === key ? [found[2] ?? ""] : []));
  const last = (key: string, otherwise: string): string => all(key).at(-1) ?? otherwise;
  const words = (line: string): readonly string[] => line.replace(/^[+!@:-]+/, "").split(" ");
  const command = last("ExecStart", "");
  if (command === "") throw new Error("the unit starts nothing");
  return {
    before: all("ExecStartPre").map(words),
    command: words(command),
    stateDirectory: all("StateDirectory").at(-1) ?? null,
    restart: {
      onFailure: last("Restart", "no") === "on-failure",
      afterMs: Number(last("RestartSec", "0.1")) * 1_000,
      notOn: new Set(last("RestartPreventExitStatus", "").split(" ").map(Number)),
    },
    stopMs: Number(last("TimeoutStopSec", "90")) * 1_000,
  };
}
