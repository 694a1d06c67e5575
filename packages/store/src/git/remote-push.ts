/** Pushing to a git server over HTTPS: its protocol of version 0, which every server speaks, with the pack sent as it is read from disk. */
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileFolder } from "../file-folder.ts";
import type { Oid } from "./object.ts";
import { type Ahead, aheadOf, gather } from "./outgoing.ts";
import { PackBuilder } from "./pack-builder.ts";
import { type Advertisement, flush, pktLine, PktReader, ProtocolFault } from "./pkt-line.ts";
import { branch, type Repository } from "./repository.ts";
import { askForRefs, callService, type HttpRemote, Refused, shown } from "./smart-http.ts";
import { Diverged, type Sent, type Transfer } from "./transfer.ts";

const service = "git-receive-pack";
const nowhere = "0".repeat(40);
/** Of what the server's hooks say. */
const saidBytes = 2_000;

/** Rejects with {@link Diverged}, {@link Refused}, ProtocolFault or Unreachable. */
export async function pushHttp(
  repository: Repository,
  asked: HttpRemote,
  head: Oid,
  force: boolean,
  transfer: Transfer,
): Promise<Sent> {
  const { remote, advertised } = await askForRefs(asked, service);
  const theirs = advertised.refs.get(branch) ?? null;
  if (theirs === head) return { pushed: head, objects: 0, bytes: 0 };
  if (!advertised.capabilities.has("report-status")) throw new Refused(`${shown(remote.url)} does not say how a push went`);
  const onward = await aheadOf(repository, head, (oid) => oid === theirs);
  if (theirs !== null && onward.common === null && !force) throw new Diverged(shown(remote.url), theirs);
  const known = new Set(advertised.refs.values());
  const ahead = onward.common === null ? await aheadOf(repository, head, (oid) => known.has(oid)) : onward;
  // not in the repository: the other members have a copy of all that is there
  const dir = await mkdtemp(join(tmpdir(), "aether-push-"));
  try {
    const builder = new PackBuilder(fileFolder(dir), "push", 0);
    await gather(repository, ahead, builder, transfer);
    const { pack, bytes } = await builder.assemble(transfer.steps);
    const commands = commandsOf(advertised, theirs, head, ahead);
    const whole = commands.length + bytes;
    const body = Readable.from(told(commands, createReadStream(join(dir, pack)), whole, transfer));
    await callService(remote, service, { body, length: whole }, (answer) =>
      expectDone(answer, remote, advertised.capabilities.has("side-band-64k"), theirs),
    );
    return { pushed: head, objects: builder.size, bytes };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function commandsOf({ capabilities }: Advertisement, from: Oid | null, to: Oid, { cut }: Ahead): Buffer {
  const wanted = ["report-status", "side-band-64k", "object-format=sha1"].filter((each) => capabilities.has(each));
  const shallow = cut === null ? "" : pktLine(`shallow ${cut}`);
  const command = pktLine(`${from ?? nowhere} ${to} ${branch}\0 ${wanted.join(" ")} agent=aether`);
  return Buffer.from(`${shallow}${command}${flush}`);
}

async function* told(head: Buffer, pack: AsyncIterable<Buffer>, of: number, { onProgress }: Transfer): AsyncIterable<Buffer> {
  yield head;
  let done = head.length;
  for await (const piece of pack) {
    yield piece;
    done += piece.length;
    onProgress({ phase: "sending", done, of });
  }
}

async function expectDone(
  answer: AsyncIterable<Buffer>,
  remote: HttpRemote,
  inBands: boolean,
  theirs: Oid | null,
): Promise<void> {
  const hook: string[] = [];
  const lines = new PktReader(inBands ? firstBand(answer, hook) : answer);
  const report: string[] = [];
  for (let line = await lines.next(); line !== null && line !== undefined; line = await lines.next())
    report.push(line.toString().trimEnd());
  const [unpacked = "", ...refs] = report;
  const said = hook.join("").slice(0, saidBytes).replaceAll(/\s+/g, " ").trim();
  const more = said === "" ? "" : ` (${said})`;
  const where = shown(remote.url);
  if (!unpacked.startsWith("unpack ")) throw new ProtocolFault(`${where} does not say how the push went${more}`);
  const refusal = refs.find((line) => line.startsWith(`ng ${branch}`))?.slice(`ng ${branch} `.length);
  if (theirs !== null && /non-fast-forward|fetch first/.test(refusal ?? "")) throw new Diverged(where, theirs);
  if (unpacked !== "unpack ok") throw new Refused(`${where} could not take the pack: ${unpacked.slice("unpack ".length)}${more}`);
  if (refusal !== undefined) throw new Refused(`${where} refuses the push: ${refusal}${more}`);
  if (!refs.includes(`ok ${branch}`)) throw new ProtocolFault(`${where} does not say how the push went${more}`);
}

/** What comes in the first band; the second is for people. */
export async function* firstBand(answer: AsyncIterable<Uint8Array>, said: string[]): AsyncIterable<Buffer> {
  const lines = new PktReader(answer);
  let length = 0;
  for (let line = await lines.next(); line !== null && line !== undefined; line = await lines.next()) {
    const band = line[0];
    const bytes = line.subarray(1);
    if (band === 1) yield bytes;
    else if (band === 3) throw new Refused(`the remote gives up: ${bytes.toString().slice(0, saidBytes).trim()}`);
    else if (band !== 2) throw new ProtocolFault("what the remote sends is not git's protocol");
    else if (length < saidBytes) length += said.push(bytes.toString("utf8", 0, saidBytes - length)) && bytes.length;
  }
}
