import { conformance } from "./testing/conformance.ts";
import { edgeConformance } from "./testing/edge-conformance.ts";
import { makeAzureWorld, makeServedWorld, noFaults } from "./testing/azure/world.ts";

conformance("azure", () => Promise.resolve(makeAzureWorld()));
conformance("azure over HTTP", () => makeServedWorld(noFaults));
edgeConformance("azure", () => Promise.resolve(makeAzureWorld()));
edgeConformance("azure over HTTP", () => makeServedWorld(noFaults));
