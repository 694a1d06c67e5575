/** Each way of misbehaving, between real sockets. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "@aether/node/testing/cluster-harness";
import { makeStream } from "../world/stream.ts";
import { LinkProxy } from "./link-proxy.ts";

interface End {
  readonly socket: Socket;
  heard: string;
  ended: boolean;
  /** Null while it is open; the error's code or "" when it closed. */
  closed: string | null;
}

function listen(socket: Socket): End {
  const end: End = { socket, heard: "", ended: false, closed: null };
  let code = "";
  socket.on("data", (bytes: Buffer) => (end.heard += bytes.toString()));
  socket.on("end", () => (end.ended = true));
  socket.on("error", (error: NodeJS.ErrnoException) => (code = error.code ?? error.message));
  socket.on("close", () => (end.closed = code));
  return end;
}

describe("a link between two members", () => {
  const withinMs = 10_000;
  let server: Server;
  let proxy: LinkProxy;
  const served: End[] = [];
  const dialled: Socket[] = [];

  beforeEach(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => served.push(listen(socket)));
    await new Promise<void>((resolve) => void server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    const { port } = server.address() as { port: number };
    proxy = await LinkProxy.open(`127.0.0.1:${port}`, makeStream(1, "link"));
  });
  afterEach(async () => {
    for (const socket of [...dialled, ...served.map((end) => end.socket)]) socket.destroy();
    served.length = 0;
    dialled.length = 0;
    await proxy.close();
    await new Promise((resolve) => server.close(resolve));
  });

  const dial = (): End => {
    const port = Number(proxy.address.split(":")[1]);
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    dialled.push(socket);
    return listen(socket);
  };
  /** Both ends of a connection over which a word has gone each way. */
  const pair = async (): Promise<readonly [End, End]> => {
    const near = dial();
    near.socket.write("hello ");
    const far = await eventually("the other end", withinMs, () => served.find((end) => end.heard === "hello "));
    far.socket.write("welcome ");
    await hears(near, "welcome ");
    return [near, far];
  };
  const hears = (end: End, text: string): Promise<true> =>
    eventually(`hearing "${text}", heard "${end.heard}"`, withinMs, () => (end.heard === text ? true : undefined));
  const closes = (end: End): Promise<string> => eventually("a close", withinMs, () => end.closed ?? undefined);
  const until = (what: string, met: () => boolean): Promise<true> => eventually(what, withinMs, () => (met() ? true : undefined));

  it("carries bytes both ways, and ends", async () => {
    const [near, far] = await pair();
    near.socket.end("bye");
    await hears(far, "hello bye");
    await until("the end", () => far.ended);
    far.socket.end("later");
    await hears(near, "welcome later");
    expect(await closes(near)).toBe("");
    await until("nothing is left of it", () => proxy.open === 0);
    expect(proxy.counts).toMatchObject({ connections: 1, broken: 0, bytes: 6 + 8 + 3 + 5 });
  });

  it("resets what there is and what comes, once it drops", async () => {
    const [near, far] = await pair();
    proxy.set({ m: "drop" });
    expect(await closes(near)).toBe("ECONNRESET");
    expect(await closes(far)).toBe("ECONNRESET");
    expect(await closes(dial())).toBe("ECONNRESET");
    proxy.set({ m: "open" });
    served.length = 0;
    await pair();
    expect(proxy.counts.broken).toBe(2);
  });

  it("delays, and keeps the order", async () => {
    const [near, far] = await pair();
    proxy.set({ m: "delay", leastMs: 100, jitterMs: 30 });
    const began = performance.now();
    const words = Array.from({ length: 20 }, (_, n) => `${n} `);
    for (const word of words) {
      near.socket.write(word);
      await new Promise((resume) => setImmediate(resume));
    }
    await hears(far, `hello ${words.join("")}`);
    expect(performance.now() - began).toBeGreaterThanOrEqual(99);
    expect(proxy.counts.delayedBytes).toBe(words.join("").length);
  });

  it("swallows one direction and carries the other; after that this connection stays dumb and a new one works", async () => {
    const [near, far] = await pair();
    proxy.set({ m: "blackhole", ways: ["forth"] });
    near.socket.write("lost");
    await until("it is swallowed", () => proxy.counts.swallowedBytes === 4);
    far.socket.write("heard");
    await hears(near, "welcome heard");
    proxy.set({ m: "open" });
    near.socket.write("too late");
    await until("that as well", () => proxy.counts.swallowedBytes === 12);
    expect(far.heard).toBe("hello ");
    served.length = 0;
    await pair();
  });

  it("swallows the ends too: nobody hears that the other has gone, until both have", async () => {
    const [near, far] = await pair();
    proxy.set({ m: "blackhole", ways: ["forth", "back"] });
    near.socket.end();
    far.socket.write("anybody?");
    await until("it is swallowed", () => proxy.counts.swallowedBytes === 8);
    expect(far.ended).toBe(false);
    far.socket.end();
    await until("nothing is left of it", () => proxy.open === 0);
  });

  it("holds bytes back and delivers them late, all of them", async () => {
    const [near, far] = await pair();
    proxy.set({ m: "hold", ways: ["forth"] });
    near.socket.write("old ");
    await until("it waits", () => proxy.counts.delayedBytes === 4);
    far.socket.write("meanwhile");
    await hears(near, "welcome meanwhile");
    expect(far.heard).toBe("hello ");
    proxy.set({ m: "open" });
    near.socket.write("news");
    await hears(far, "hello old news");
  });

  it("holds no more than its limit: a sender that goes on is held back itself, and nothing is lost", async () => {
    const [near, far] = await pair();
    far.heard = "";
    let heard = 0;
    far.socket.removeAllListeners("data").on("data", (bytes: Buffer) => (heard += bytes.length));
    proxy.set({ m: "hold", ways: ["forth"] });
    const bytes = 64 * 1024 * 1024;
    near.socket.write(Buffer.alloc(bytes));
    await until("the proxy is full", () => proxy.counts.delayedBytes > 4 * 1024 * 1024);
    const held = proxy.counts.delayedBytes;
    expect(held).toBeLessThan(bytes / 2);
    proxy.set({ m: "open" });
    await until("all of it arrives", () => heard === bytes);
  });

  it("half-closes: one end hears the last word of the other, which knows nothing of it", async () => {
    const [near, far] = await pair();
    proxy.halfClose("forth");
    await until("the end", () => far.ended);
    far.socket.write("still here");
    await hears(near, "welcome still here");
    expect(near.ended).toBe(false);
  });

  it("leaves nothing behind when a connection whose end is just being sent is dropped", async () => {
    const [near, far] = await pair();
    proxy.halfClose("forth");
    proxy.set({ m: "drop" });
    await closes(near);
    await until("the other end finds out when it speaks", () => {
      if (far.closed === null) far.socket.write("is anybody there?");
      return far.closed !== null;
    });
    await until("nothing is left of it", () => proxy.open === 0);
  });

  it("cuts in the middle of a message", async () => {
    const [near, far] = await pair();
    proxy.cutAfter(3);
    near.socket.write("abcdef");
    await closes(near);
    await closes(far);
    expect("hello abc".startsWith(far.heard)).toBe(true);
    expect(proxy.counts).toMatchObject({ broken: 1, bytes: 6 + 8 + 3 });
  });

  it("tells the one who dials that nobody is there", async () => {
    await new Promise((resolve) => server.close(resolve));
    expect(await closes(dial())).toBe("ECONNRESET");
    await until("nothing is left of it", () => proxy.open === 0);
  });
});
