import { conformance } from "./testing/conformance.ts";
import { edgeConformance } from "./testing/edge-conformance.ts";
import { makeGcpWorld, makeServedWorld, noFaults } from "./testing/gcp/world.ts";

conformance("gcp", () => Promise.resolve(makeGcpWorld()));
conformance("gcp over HTTP", () => makeServedWorld(noFaults));
edgeConformance("gcp", () => Promise.resolve(makeGcpWorld()));
