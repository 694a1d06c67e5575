/** How a command ends when it does not do what was asked. */
import { reasons, type Reason } from "@aether/core/kernel/command";

/** The exit codes are a promise to scripts. */
export const exit = { done: 0, failed: 1, usage: 2, notFound: 3, rejected: 4, notReady: 5, interrupted: 130 } as const;
export type ExitCode = (typeof exit)[keyof typeof exit];

/** An expected failure: printed as `error: …` and `hint: …` on stderr, without a stack. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: ExitCode;
  readonly hint: string;
  /** The server's reason, when it was the server that refused. */
  readonly reason: Reason | null;
  constructor(code: ExitCode, message: string, hint: string, reason: Reason | null = null) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.reason = reason;
  }
}

export const usage = (message: string, hint: string): Failure => new Failure(exit.usage, message, hint);

/** A typed refusal of a server, with the exit code that its reason stands for. */
export function refused(rejection: { readonly reason: Reason; readonly message: string; readonly hint: string }): Failure {
  return new Failure(reasons[rejection.reason].exit, rejection.message, rejection.hint, rejection.reason);
}
