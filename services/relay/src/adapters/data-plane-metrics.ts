import type { DataPlane, DataPlaneCounters } from "@culvert/dataplane";
import type { Attributes, Meter, ObservableResult } from "@opentelemetry/api";
import { kernelUdpErrors } from "./kernel-udp.ts";

type Read = (counters: DataPlaneCounters) => readonly (readonly [number, Attributes])[];

const COUNTERS: readonly { readonly name: string; readonly description: string; readonly read: Read }[] = [
  {
    name: "relayed_bytes_total",
    description: "Application bytes relayed, framing not counted, by direction",
    read: ({ bytesToPeers, bytesToClients }) => [
      [bytesToPeers, { direction: "to_peer" }],
      [bytesToClients, { direction: "to_client" }],
    ],
  },
  {
    name: "relayed_packets_total",
    description: "Packets relayed, by direction",
    read: ({ packetsToPeers, packetsToClients }) => [
      [packetsToPeers, { direction: "to_peer" }],
      [packetsToClients, { direction: "to_client" }],
    ],
  },
  {
    name: "slow_path_total",
    description: "Messages that the data plane handed to the control path",
    read: ({ slowPath }) => [[slowPath, {}]],
  },
  {
    name: "data_plane_bindings_total",
    description: "Binding requests that the data plane answered itself; they are not among the requests",
    read: ({ bindings }) => [[bindings, {}]],
  },
  {
    name: "data_plane_dropped_total",
    description: "What the data plane dropped, by reason",
    read: ({ dropped }) => Object.entries(dropped).map(([reason, count]) => [count, { reason }]),
  },
];

/** Observes what goes through the data plane, and what the kernel did not take from the network for it. */
export function observeDataPlane(meter: Meter, dataPlane: DataPlane): void {
  for (const { name, description, read } of COUNTERS) {
    meter.createObservableCounter(`culvert_relay_${name}`, { description }).addCallback((result: ObservableResult) => {
      for (const [value, attributes] of read(dataPlane.counters())) result.observe(value, attributes);
    });
  }
  meter
    .createObservableGauge("culvert_relay_relay_sockets", { description: "Open relay sockets" })
    .addCallback((result) => result.observe(dataPlane.counters().relays));
  meter
    .createObservableGauge("culvert_relay_streams", { description: "Open TCP and TLS clients" })
    .addCallback((result) => result.observe(dataPlane.counters().streams));
  meter
    .createObservableCounter("culvert_relay_kernel_udp_errors_total", {
      description:
        "Datagrams that the kernel dropped at full buffers of sockets in this network namespace, whosever they are, by kind",
    })
    .addCallback(async (result) => {
      for (const [kind, count] of Object.entries(await kernelUdpErrors())) result.observe(count, { kind });
    });
}
