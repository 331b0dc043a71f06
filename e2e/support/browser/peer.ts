/** What is said between two pages until they are connected. */
export type Signal =
  | { readonly kind: "description"; readonly description: RTCSessionDescriptionInit }
  | { readonly kind: "candidate"; readonly candidate: RTCIceCandidateInit };

export interface SelectedPair {
  readonly local: {
    readonly type: string;
    readonly relayProtocol: string | undefined;
    readonly url: string | undefined;
  };
  readonly remote: { readonly type: string };
}

/** SHA-256 in hexadecimal of what a page sent and of what it received. */
export interface Exchange {
  readonly sent: string;
  readonly received: string;
  readonly bytes: number;
}

/** The page's end of a connection. Signals go out through `window.signal`, which the test exposes. */
export interface PagePeer {
  /** Makes the connection; the caller opens the data channel and offers. Only relayed candidates are used. */
  start(role: "caller" | "callee", iceServers: RTCIceServer[]): Promise<void>;
  signal(signal: Signal): Promise<void>;
  /** Sends `bytes` random bytes and takes as many, both at once. */
  exchange(bytes: number): Promise<Exchange>;
  selectedPair(): Promise<SelectedPair>;
  /** `icecandidateerror` events so far. */
  errors(): readonly string[];
  close(): void;
}

declare global {
  interface Window {
    peer: PagePeer;
    signal(signal: Signal): Promise<void>;
  }
}

/** Runs in the page: everything it needs is inside. */
export function installPeer(): void {
  const CHUNK = 16_384;
  const HIGH_WATER = 256 * 1024;
  let connection: RTCPeerConnection;
  let channel: Promise<RTCDataChannel>;
  let work: Promise<void> = Promise.resolve();
  const early: RTCIceCandidateInit[] = [];
  const errors: string[] = [];

  const digest = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> => {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  const opened = (candidate: RTCDataChannel): Promise<RTCDataChannel> => {
    candidate.binaryType = "arraybuffer";
    if (candidate.readyState === "open") return Promise.resolve(candidate);
    return new Promise((resolve) => candidate.addEventListener("open", () => resolve(candidate), { once: true }));
  };

  const describe = async (): Promise<void> => {
    await connection.setLocalDescription();
    const { localDescription } = connection;
    if (localDescription) await window.signal({ kind: "description", description: localDescription.toJSON() });
  };

  const take = async (signal: Signal): Promise<void> => {
    if (signal.kind === "candidate") {
      if (connection.remoteDescription) await connection.addIceCandidate(signal.candidate);
      else early.push(signal.candidate);
      return;
    }
    await connection.setRemoteDescription(signal.description);
    for (const candidate of early.splice(0)) await connection.addIceCandidate(candidate);
    if (signal.description.type === "offer") await describe();
  };

  const send = async (open: RTCDataChannel, bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
    open.bufferedAmountLowThreshold = HIGH_WATER / 2;
    for (let at = 0; at < bytes.length; at += CHUNK) {
      if (open.bufferedAmount > HIGH_WATER) {
        await new Promise((resolve) => open.addEventListener("bufferedamountlow", resolve, { once: true }));
      }
      open.send(bytes.subarray(at, at + CHUNK));
    }
  };

  const arrived: Uint8Array[] = [];
  let onArrival = (): void => {};
  const receive = async (count: number): Promise<Uint8Array<ArrayBuffer>> => {
    const all = new Uint8Array(count);
    let at = 0;
    while (at < count) {
      const chunk = arrived.shift();
      if (!chunk) {
        await new Promise<void>((resolve) => {
          onArrival = resolve;
        });
        continue;
      }
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  };
  const listen = (open: RTCDataChannel): RTCDataChannel => {
    open.addEventListener("message", ({ data }) => {
      arrived.push(new Uint8Array(data));
      onArrival();
    });
    return open;
  };

  window.peer = {
    async start(role, iceServers) {
      connection = new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" });
      connection.addEventListener("icecandidate", ({ candidate }) => {
        if (candidate) void window.signal({ kind: "candidate", candidate: candidate.toJSON() });
      });
      connection.addEventListener("icecandidateerror", (event) => {
        errors.push(`${event.url} ${event.errorCode} ${event.errorText}`);
      });
      if (role === "callee") {
        channel = new Promise((resolve) => {
          connection.addEventListener("datachannel", (event) => resolve(opened(listen(event.channel))));
        });
        return;
      }
      channel = opened(listen(connection.createDataChannel("data")));
      await describe();
    },
    signal(signal) {
      work = work.then(() => take(signal));
      return work;
    },
    async exchange(count) {
      const open = await channel;
      const bytes = new Uint8Array(count);
      // getRandomValues gives 65536 bytes at most.
      for (let at = 0; at < count; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
      const [received] = await Promise.all([receive(count), send(open, bytes)]);
      return { sent: await digest(bytes), received: await digest(received), bytes: received.length };
    },
    async selectedPair() {
      const stats = await connection.getStats();
      const reports = new Map<string, Record<string, string>>();
      stats.forEach((report: Record<string, string>) => {
        if (report.id !== undefined) reports.set(report.id, report);
      });
      const transport = [...reports.values()].find((report) => report.type === "transport");
      const pair = reports.get(transport?.selectedCandidatePairId ?? "");
      const local = reports.get(pair?.localCandidateId ?? "");
      const remote = reports.get(pair?.remoteCandidateId ?? "");
      if (!local || !remote) throw new Error("no candidate pair is selected");
      return {
        local: {
          type: local.candidateType ?? "",
          relayProtocol: local.relayProtocol,
          url: local.url,
        },
        remote: { type: remote.candidateType ?? "" },
      };
    },
    errors: () => errors,
    close: () => connection.close(),
  };
}
