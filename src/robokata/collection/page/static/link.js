// The connection: commands out, news in, and the exchange of clocks that tells one machine's time from the other's.

const GEOMS = 1, PICTURE = 2;
const SLOWEST_MS = 400;
const PING_MS = 500, PINGS_AT_FIRST_MS = 60, RETRY_MS = 700;

export class Link extends EventTarget {
  constructor() {
    super();
    this.sequence = 0;
    this.isOpen = false;
    this.hasClock = false;
    this.waiting = new Map(); // seq -> when it was sent
    this.latencies = []; // [now, ms], hand to joints and back: measured on this clock alone
    this.open();
  }

  open() {
    const socket = (this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.isOpen = true;
      this.pings = 0;
      this.ping();
      this.emit("open");
    };
    socket.onmessage = ({data}) => (typeof data === "string" ? this.receive(JSON.parse(data)) : this.receiveBytes(data));
    socket.onclose = () => {
      const was = this.isOpen;
      this.isOpen = this.hasClock = false;
      clearTimeout(this.timer);
      if (was) this.emit("closed");
      setTimeout(() => this.open(), RETRY_MS);
    };
  }

  emit(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, {detail}));
  }

  ping() {
    if (!this.isOpen) return;
    this.send({type: "ping", t_ms: performance.now()});
    this.timer = setTimeout(() => this.ping(), this.pings++ < 6 ? PINGS_AT_FIRST_MS : PING_MS);
  }

  receive(message) {
    const now_ms = performance.now();
    if (message.type === "pong") {
      this.send({type: "clock", sent_ms: message.t_ms, back_ms: now_ms});
      // Slower exchanges cannot tell how old a command is, and the server takes none then.
      this.hasClock ||= now_ms - message.t_ms < SLOWEST_MS;
    } else if (message.type === "applied") {
      this.waiting.delete(message.seq);
    }
    this.emit(message.type, message);
  }

  receiveBytes(data) {
    const view = new DataView(data), kind = view.getUint8(0);
    if (kind === GEOMS) this.emit("geoms", new Float32Array(data, 24));
    else if (kind === PICTURE) this.emit("picture", {camera: view.getUint8(1), jpeg: new Blob([new Uint8Array(data, 16)], {type: "image/jpeg"})});
  }

  send(message) {
    // A browser that cannot get rid of its messages must not pile up the past: the newest comes in 20 ms anyway.
    if (this.isOpen && this.socket.bufferedAmount < 65536) this.socket.send(JSON.stringify(message));
  }

  act(what) {
    this.send({type: "act", do: what});
  }

  command(arm, device, message) {
    if (!this.hasClock) return;
    const t_ms = performance.now(), seq = this.sequence++;
    this.send({v: 1, type: "command", arm, device, seq, t_ms, frame: "world", opening: null, enabled: true, clutch: false, ...message});
  }
}
