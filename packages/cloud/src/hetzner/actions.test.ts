import { describe, expect, it } from "vitest";
import { CloudFailure } from "../failure.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { makeActionWaiter } from "./actions.ts";
import type { HetznerApi } from "./api.ts";
import { fault } from "./failure.ts";
import type { Action } from "./shapes.ts";

const never = new AbortController().signal;
const action = (id: number, status: Action["status"] = "running", error: Action["error"] = null): Action => ({
  id,
  command: "poweroff_server",
  status,
  error,
});

/** A waiter over a vendor that answers polls so; the ids of each poll are kept. */
function waiterOf(answer: (ids: readonly number[], poll: number) => readonly Action[]) {
  const clock = new VirtualClock(0);
  const polls: (readonly number[])[] = [];
  const actions: HetznerApi["actions"] = async (ids) => {
    polls.push(ids);
    return answer(ids, polls.length);
  };
  return { waiter: makeActionWaiter({ actions } as HetznerApi, clock, 1000, 60_000), polls, clock };
}
const failureOf = (done: Promise<void>): Promise<unknown> =>
  done.then(
    () => "no failure",
    (failure: unknown) => (failure instanceof CloudFailure ? failure.error : failure),
  );

describe("waiting for actions", () => {
  it("asks nothing about what is over already", async () => {
    const { waiter, polls } = waiterOf(() => []);
    await waiter.done("stop n1", action(1, "success"), never);
    const error = { code: "locked", message: "busy" };
    expect(await failureOf(waiter.done("stop n1", action(2, "error", error), never))).toMatchObject({
      _tag: "Conflict",
      op: "stop n1",
    });
    expect(polls).toEqual([]);
  });

  it("asks for at most 50 at once, and all of more get their turn", async () => {
    const { waiter, polls } = waiterOf((ids) => ids.map((id) => action(id, "success")));
    await Promise.all(Array.from({ length: 120 }, (_, at) => waiter.done("stop", action(at + 1), never)));
    expect(polls.map((ids) => ids.length)).toEqual([50, 50, 20]);
  });

  it("does not let those that take long keep the others from their turn", async () => {
    const { waiter, polls } = waiterOf((ids, poll) => ids.map((id) => action(id, id > 50 || poll > 4 ? "success" : "running")));
    const slow = Array.from({ length: 50 }, (_, at) => waiter.done("stop", action(at + 1), never));
    await waiter.done("stop", action(51), never);
    expect(polls.length).toBeLessThanOrEqual(2);
    await Promise.all(slow);
  });

  it("fails all who wait when nothing more can be learned", async () => {
    const { waiter } = waiterOf(() => {
      throw fault({ _tag: "Auth", kind: "unauthenticated", op: "read actions", message: "no" });
    });
    const both = [waiter.done("stop n1", action(1), never), waiter.done("stop n2", action(2), never)];
    for (const one of both) expect(await failureOf(one)).toMatchObject({ _tag: "Auth" });
  });

  it("gives up at its time, also on what the vendor no longer names", async () => {
    const { waiter, clock } = waiterOf(() => []);
    expect(await failureOf(waiter.done("stop n1", action(1), never))).toMatchObject({ _tag: "Deadline", op: "stop n1" });
    expect(clock.now()).toBe(60_000);
  });

  it("stops for who leaves, and goes on for the others", async () => {
    const { waiter } = waiterOf((ids, poll) => ids.map((id) => action(id, poll > 3 ? "success" : "running")));
    const caller = new AbortController();
    const [gone, stays] = [failureOf(waiter.done("stop n1", action(1), caller.signal)), waiter.done("stop n2", action(2), never)];
    caller.abort("left");
    expect(await gone).toBe("left");
    await stays;
  });
});
