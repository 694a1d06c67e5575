/** What one setting may do: the sequential behaviour that histories of it are measured against. */

/** Version 0 is absence; a setting that is made anew begins at version 1 again. */
export interface KeyState {
  readonly version: number;
  readonly value: number;
}

export const absent: KeyState = { version: 0, value: 0 };

/** Values are unique in a life, so that a read names the write it saw. */
export type KeyCall =
  | { readonly op: "write"; readonly value: number }
  | { readonly op: "swap"; readonly value: number; readonly ifVersion: number }
  | { readonly op: "remove" }
  | { readonly op: "read" };

/** What the caller was told. `unknown`: nothing, or that the outcome is open. */
export type KeyResult =
  | { readonly told: "done"; readonly version: number }
  | { readonly told: "stale" }
  | { readonly told: "missing" }
  | { readonly told: "saw"; readonly state: KeyState }
  | { readonly told: "unknown" };

/** The state after the call, or null when it cannot have been answered so in this state. */
export function stepKey(state: KeyState, call: KeyCall, result: KeyResult): KeyState | null {
  const after = effectOf(state, call);
  // Without an effect it need not be placed at all.
  if (result.told === "unknown") return after;
  switch (call.op) {
    case "read":
      return result.told === "saw" && result.state.version === state.version && result.state.value === state.value ? state : null;
    case "swap":
      if (after === null) return result.told === "stale" ? state : null;
      return result.told === "done" && result.version === after.version ? after : null;
    case "remove":
      if (after === null) return result.told === "missing" ? state : null;
      return result.told === "done" && result.version === 0 ? after : null;
    case "write":
      return result.told === "done" && result.version === after?.version ? after : null;
  }
}

/** Null when the call is refused in this state. */
function effectOf(state: KeyState, call: KeyCall): KeyState | null {
  switch (call.op) {
    case "read":
      return state;
    case "write":
      return { version: state.version + 1, value: call.value };
    case "swap":
      return call.ifVersion === state.version ? { version: state.version + 1, value: call.value } : null;
    case "remove":
      return state.version === 0 ? null : absent;
  }
}
