/** The maker's side of an enrolment: dials a machine that it had made, and makes a node of it. */
import { X509Certificate, type KeyObject } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isRefusal, readIdentity } from "../identity/certificate-identity.ts";
import { keyFingerprint, type Birth } from "./birth-file.ts";
import { dial, OneSocket, post } from "./exchange.ts";
import { giftBody, type Gift } from "./gift.ts";
import { freshNonce, isNonce, isSameProof, makerProof, nodeProof } from "./proof.ts";
import { doors, proofHeader } from "./waiting-room.ts";

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

const exchangeMs = 15_000;
/** Between two tries: at first short, because a machine that boots may be a moment away; then not more than this. */
const pauseMaxMs = 2_000;
const pauseMinMs = 100;

/**
 * Resolves with `already` when a daemon with a certificate of the cluster's CA for this node answers: somebody else was first, or the
 * answer to an earlier try was lost. Repeats for `withinMs` while nothing answers; rejects with {@link EnrolmentFailed}, which tells no secret,
 * and with the signal's reason when that is aborted.
 */
export async function enrol(e: Enrol): Promise<"enrolled" | "already"> {
  const until = performance.now() + e.withinMs;
  for (let pause = pauseMinMs; ; pause = Math.min(pause * 2, pauseMaxMs)) {
    e.signal?.throwIfAborted();
    const met = await meet(e);
    if (met === "enrolled" || met === "already") return met;
    if (performance.now() >= until) {
      throw new EnrolmentFailed(
        "unreachable",
        `${e.birth.node} at ${e.address} was not reached in ${e.withinMs} ms: ${met.silent}`,
      );
    }
    await sleep(pause, undefined, e.signal === undefined ? {} : { signal: e.signal });
  }
}

type Met = "enrolled" | "already" | { readonly silent: string };

/** One encounter. What may be different in a moment is `silent`. */
async function meet(e: Enrol): Promise<Met> {
  const within = AbortSignal.any([AbortSignal.timeout(exchangeMs), ...(e.signal === undefined ? [] : [e.signal])]);
  const socket = await dial(e.address, within);
  if ("silent" in socket) return socket;
  const agent = new OneSocket(socket);
  try {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return { silent: "it showed no certificate" };
    if (isOfCluster(certificate, e.identity.ca)) return judgeDaemon(certificate, e);
    return await introduce(e, certificate.publicKey, agent, within);
  } catch (error) {
    if (error instanceof EnrolmentFailed) throw error;
    return { silent: error instanceof Error ? error.message : String(error) };
  } finally {
    agent.destroy();
    socket.destroy();
  }
}

function isOfCluster(certificate: X509Certificate, caPem: string): boolean {
  const ca = new X509Certificate(caPem);
  return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
}

/** TLS has shown that it holds the certificate's key. */
function judgeDaemon(certificate: X509Certificate, { birth, address }: Enrol): "already" {
  const who = readIdentity(certificate, birth.cluster.id, () => false, null);
  if (!isRefusal(who) && who.role === "member" && who.name === birth.node) return "already";
  const found = isRefusal(who) ? who.detail : `${who.role}:${who.name}`;
  throw new EnrolmentFailed("otherNode", `at ${address} answers ${found}, ${birth.node} was expected`);
}

async function introduce(e: Enrol, tlsKey: KeyObject, agent: OneSocket, signal: AbortSignal): Promise<Met> {
  const makerNonce = freshNonce();
  const hello = await post(agent, doors.hello, Buffer.from(JSON.stringify({ nonce: makerNonce })), {}, signal);
  const { nonce, publicKey, proof } = hello.body;
  const encounter = { makerNonce, nodeNonce: isNonce(nonce) ? nonce : "", tlsKey: keyFingerprint(tlsKey) };
  const isTheKey = typeof publicKey === "string" && publicKey === tlsKey.export({ type: "spki", format: "pem" });
  if (hello.status !== 200 || !isTheKey || !isSameProof(nodeProof(e.birth, encounter), proof)) {
    const message = `what answers at ${e.address} does not have the ticket of ${e.birth.node}, attempt ${e.birth.attempt}`;
    throw new EnrolmentFailed("impostor", message);
  }
  const body = await giftBody(e.identity, publicKey);
  const headers = { [proofHeader]: makerProof(e.birth, encounter, body) };
  const { status, body: answer } = await post(agent, doors.gift, body, headers, signal);
  if (status === 201) return "enrolled";
  const why = String(answer["why"]).slice(0, 500);
  if (status === 409 || status >= 500) return { silent: why };
  throw new EnrolmentFailed("refused", `${e.birth.node} at ${e.address} refuses what it was given (${status}): ${why}`);
}
