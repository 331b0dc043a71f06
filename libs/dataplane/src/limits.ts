/** What a data plane allows itself and its clients. Every implementation takes the same ones. */
export interface DataPlaneLimits {
  /** SO_RCVBUF of datagram listeners, in bytes. The kernel may grant less. Default 4 MiB. */
  readonly recvBufferSize: number;
  /** SO_SNDBUF of datagram listeners, in bytes. The kernel may grant less. Default 4 MiB. */
  readonly sendBufferSize: number;
  /** SO_RCVBUF and SO_SNDBUF of each relay socket, in bytes. The kernel may grant less. Default 1 MiB. */
  readonly relayBufferSize: number;
  /** Bytes that may wait in user space for one datagram socket before what comes next is dropped. Default 1 MiB. */
  readonly datagramQueueBytes: number;
  /** Bytes that may wait for one client's stream before relayed data is dropped. Default 256 KiB. */
  readonly streamQueueBytes: number;
  /** Bytes that may wait for one client's stream before it is closed; replies are queued up to here. Default 1 MiB. */
  readonly streamHardQueueBytes: number;
  /** From accept to the first valid message, TLS handshake included, in ms. Default 15,000. */
  readonly streamFirstMessageMs: number;
  /** From the first byte of a message to its last, in ms. Default 15,000. */
  readonly streamFrameMs: number;
  /** Without a message and without an allocation, after the first message, in ms. Default 60,000. */
  readonly streamIdleMs: number;
  /** How long replies may still be written after the client has ended its side, in ms. Default 1,000. */
  readonly streamHalfCloseMs: number;
  /** Open streams, over all listeners. Default 20,000. */
  readonly maxStreams: number;
  /** Open streams of one IPv4 address or IPv6 /64, over all listeners. Default 256. */
  readonly maxStreamsPerSource: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: DataPlaneLimits = {
  recvBufferSize: 4 * MIB,
  sendBufferSize: 4 * MIB,
  relayBufferSize: MIB,
  datagramQueueBytes: MIB,
  streamQueueBytes: 256 * 1024,
  streamHardQueueBytes: MIB,
  streamFirstMessageMs: 15_000,
  streamFrameMs: 15_000,
  streamIdleMs: 60_000,
  streamHalfCloseMs: 1_000,
  maxStreams: 20_000,
  maxStreamsPerSource: 256,
};
