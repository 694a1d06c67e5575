/** The maker's side of an enrolment: dials a machine that it had made, and makes a node of it. */
import type { Birth } from "./birth-file.ts";
import type { Gift } from "./gift.ts";

export interface Enrol {
  /** "host:port" where the machine can be reached from here. */
  readonly address: string;
  readonly birth: Birth;
  readonly identity: Gift;
  /** How long to try while nothing answers, milliseconds. A machine takes a minute or two until it waits. */
  readonly withinMs: number;
  readonly signal?: AbortSignal;
}

/**
 * unreachable: nothing that speaks TLS answered in time; impostor: what answers does not have the ticket; otherNode: another node of the
 * cluster answers there; refused: the machine does not take what it was given.
 */
export type EnrolmentFault = "unreachable" | "impostor" | "otherNode" | "refused";

export class EnrolmentFailed extends Error {
  override readonly name = "EnrolmentFailed";
  readonly fault: EnrolmentFault;
  constructor(fault: EnrolmentFault, message: string) {
    super(message);
    this.fault = fault;
  }
}
