// The page: one app with the scene, the devices that command it, and its display.

import {Gamepad} from "./gamepad.js";
import {Headset} from "./headset.js";
import {Keyboard} from "./keyboard.js";
import {Leader} from "./leader.js";
import {Link} from "./link.js";
import {Jaws} from "./motion.js";
import {Mouse} from "./mouse.js";
import {Trace} from "./trace.js";
import {World} from "./world.js";

const TICK_MS = 20;
const REST = [0, 0, 0, 0, 0, 0];
const $ = id => document.getElementById(id);
const element = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

class Cockpit {
  constructor() {
    this.arms = [];
    this.arm = null;
    this.action = [];
    this.commands = {};
    this.openings = {};
    this.bounds = [[0, 0, 0], [0, 0, 0]];
    this.yaw_rad = 0;
    this.phase = "ready";
    this.scene = null;
    this.status = {};
    this.jaws = new Jaws();
    this.world = new World($("scene"));
    this.trace = new Trace($("trace"));
    this.link = new Link();
    this.devices = Object.fromEntries([Keyboard, Gamepad, Mouse, Leader, Headset].map(kind => [kind, new kind(this)]).map(([, device]) => [device.name, device]));
    this.leader = this.devices.leader;
    this.device = "keyboard";
    for (const [kind, does] of Object.entries({
      hello: message => this.receiveScene(message), status: message => this.receiveStatus(message), state: message => this.receiveState(message),
      geoms: numbers => this.world.setPoses(numbers), picture: picture => this.showPicture(picture),
      closed: () => this.showLostConnection(), open: () => $("role").classList.remove("off"),
    })) this.link.addEventListener(kind, ({detail}) => does(detail));
    this.buttons();
    setInterval(() => {
      this.devices.gamepad.poll();
      if (!this.devices.headset.session) this.tick();
    }, TICK_MS);
    const draw = now_ms => {
      if (!this.devices.headset.session) this.world.drawIfDue(now_ms);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  // -- commands --------------------------------------------------------------------------------------------------

  tick() {
    if (!this.status.drives || !this.arms.length) return;
    const message = document.hidden && !this.devices.headset.session ? {} : this.devices[this.device].sample();
    for (const {name} of this.arms)
      // An idle arm is reported as idle: silence would read as a lost connection.
      this.link.command(name, this.device, message[name] ?? {kind: "twist", values: REST, enabled: false});
  }

  opening(arm) {
    return this.jaws.opening(arm, this.openings[arm]);
  }

  choose(device) {
    if (this.device === device) return;
    this.device = device;
    if (device === "leader") this.leader.engage();
    if (device === "mouse") this.devices.mouse.begin();
    this.showDevice();
  }

  nextArm() {
    const names = this.arms.map(arm => arm.name);
    this.arm = names[(names.indexOf(this.arm) + 1) % names.length];
    this.devices.mouse.forget();
    this.showDevice();
  }

  act(what) {
    this.link.act(what);
  }

  // -- messages -------------------------------------------------------------------------------------------------

  receiveScene(message) {
    this.arms = message.arms;
    this.arm ??= message.arms[0].name;
    this.yaw_rad = message.operator_yaw_rad;
    this.bounds = message.bounds;
    this.hello = message;
    $("robot").textContent = `${message.robot.replaceAll("_", " ")} · ${message.width}`;
    document.title = `${message.instruction} · Robokata`;
    this.world.setScene(message.geoms, message.operator_yaw_rad, message.arms.length);
    $("cameras").style.setProperty("--many", message.cameras.length);
    $("cameras").replaceChildren(...message.cameras.map((camera, number) => {
      const picture = element("img", {id: `camera-${number}`, alt: `Live picture of the ${camera.name} camera`, draggable: false});
      this.devices.mouse.listen(picture, camera);
      return element("figure", {className: "view drives"}, picture, element("figcaption", {textContent: camera.name.replaceAll("_", " ")}));
    }));
    this.showDevice();
  }

  showPicture({camera, jpeg}) {
    const picture = $(`camera-${camera}`);
    if (!picture) return;
    if (this.devices.headset.session) return; // the page is not looked at
    // A slow machine shows fewer pictures: commands go before them, and late ones are of no use.
    const now_ms = performance.now();
    if ((picture.src && !picture.complete) || now_ms - (picture.shown_ms ?? 0) < this.world.pause_ms) return;
    picture.shown_ms = now_ms;
    const before = picture.src;
    picture.src = URL.createObjectURL(jpeg);
    if (before) URL.revokeObjectURL(before);
  }

  receiveState(message) {
    this.commands = message.commands;
    this.openings = message.openings;
    this.action = message.action;
    this.state = message;
    this.world.commands = Object.values(message.commands);
  }

  receiveStatus(message) {
    this.status = message;
    this.phase = message.phase;
    if (this.scene !== message.scene) {
      // A reset: what jaws, mouse and leader remember is of the world before.
      this.scene = message.scene;
      this.jaws.forget();
      this.devices.mouse.forget();
      if (this.device === "leader") setTimeout(() => this.leader.engage(), 100);
    }
    this.show(message);
  }

  showLostConnection() {
    this.status = {};
    $("role").textContent = "Connection lost: the robot holds";
    $("role").className = "tag off";
  }

  // -- display --------------------------------------------------------------------------------------------------

  show(message) {
    const phases = {ready: "Ready", recording: "Recording", review: "Keep it?"};
    document.body.classList.toggle("recording", message.phase === "recording");
    document.body.classList.toggle("watching", !message.drives);
    $("instruction").textContent = message.instruction;
    $("phase").textContent = phases[message.phase];
    $("phase").className = `phase ${message.phase}`;
    if (message.recorded_s !== null) this.recorded_s = message.recorded_s;
    $("clock").textContent = `${(message.phase === "ready" ? 0 : this.recorded_s ?? 0).toFixed(1)} s`;
    $("record").disabled = message.phase !== "ready";
    $("keep").disabled = $("discard").disabled = message.phase === "ready";
    $("stop").disabled = message.phase !== "recording";
    for (const id of ["reset", "skip", "undo"]) $(id).disabled = message.phase !== "ready";
    $("undo").disabled ||= !message.kept;
    $("count").textContent = message.kept;
    $("done").hidden = !message.success;
    $("notice").hidden = !message.notice;
    $("notice").textContent = message.notice;
    $("notice").classList.toggle("warn", /disk|Not kept|Nothing can/.test(message.notice));
    $("cut").hidden = !message.cut.length || !message.drives;
    $("cut-text").textContent = `A crash cut ${message.cut.length === 1 ? "a recording" : `${message.cut.length} recordings`} (${message.cut.join(", ")}). Keep what there is?`;
    this.showRecordings(message.recordings);
    this.showNumbers(message);
    this.showRole(message);
  }

  showRole({drives, may_drive, watchers}) {
    const role = $("role");
    const text = drives ? (watchers > 0 ? `You drive · ${watchers} watching` : "You drive") : "You watch";
    if (role.dataset.text === text && role.classList.contains(drives ? "on" : "tag")) return;
    role.dataset.text = text;
    role.className = drives ? "tag on" : "tag";
    role.replaceChildren(text, ...(!drives && may_drive ? [element("button", {textContent: "Drive here", onclick: () => this.link.send({type: "take_over"})})] : []));
  }

  showRecordings(recordings) {
    $("recordings").replaceChildren(...[...recordings].reverse().map(({id, stage, share, why, made: result}) => {
      const name = element("span", {textContent: id.split("-").slice(1).join("-")});
      if (stage === "rendering") return element("li", {}, name, element("progress", {value: share, title: "Rendering its pictures"}));
      if (stage === "failed")
        return element("li", {className: "failed"}, element("span", {textContent: why}), element("button", {className: "small", textContent: "Try again", onclick: () => this.act("retry")}));
      if (stage === "waiting") return element("li", {}, name, "waiting");
      const ended = result ? `${result.duration_s.toFixed(1)} s ${result.success ? "✓" : "–"}` : "";
      return element("li", {}, name, element("span", {className: result?.success ? "ok" : "", textContent: ended}));
    }));
  }

  showNumbers({latency_ms, tracking_mm, overwritten, overruns, refused, refused_why, holds, round_trip_ms}) {
    const tracking = tracking_mm.length ? Math.max(...tracking_mm) : null;
    $("latency").textContent = latency_ms ? `${latency_ms.p50.toFixed(0)} ms` : "–";
    $("latency-tail").textContent = latency_ms ? `p99 ${latency_ms.p99.toFixed(0)} ms` : "hand to joints";
    $("tracking").textContent = tracking === null ? "–" : `${tracking.toFixed(1)} mm`;
    this.trace.add(latency_ms?.p50 ?? null, tracking);
    this.trace.draw();
    const held = holds.includes("stale") ? "holding: commands are late" : holds.every(hold => hold === "nobody") ? "no commands yet" : "";
    $("quality").textContent = [
      held, round_trip_ms === null ? "" : `network ${round_trip_ms.toFixed(1)} ms`, `${overwritten} overwritten`,
      refused ? `${refused} refused (${refused_why})` : "", overruns ? `${overruns} late periods` : "",
    ].filter(Boolean).join(" · ");
  }

  showDevice() {
    $("devices").replaceChildren(...Object.values(this.devices).map(({name, title}) => {
      const tab = element("button", {textContent: title, id: `tab-${name}`, onclick: () => this.choose(name)});
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-selected", String(name === this.device));
      return tab;
    }));
    const place = $("device"), device = this.devices[this.device];
    place.replaceChildren();
    if (this.arms.length > 1 && !["leader", "headset"].includes(this.device))
      place.append(element("div", {className: "arms"}, ...this.arms.map(({name}) => {
        const choice = element("button", {textContent: `${name} arm`, onclick: () => { if (this.arm !== name) this.nextArm(); }});
        choice.setAttribute("aria-pressed", String(name === this.arm));
        return choice;
      })));
    device.explain(place);
  }

  buttons() {
    for (const id of ["record", "keep", "discard", "stop", "reset", "skip", "undo"]) $(id).addEventListener("click", event => {
      this.act(id);
      event.currentTarget.blur(); // else space would press it again instead of working the jaws
    });
    $("cut-keep").addEventListener("click", () => this.act("keep_cut"));
    $("cut-discard").addEventListener("click", () => this.act("discard_cut"));
    const keys = {Backspace: "discard", Escape: "stop", KeyX: "reset", KeyN: "skip", KeyU: "undo"};
    addEventListener("keydown", event => {
      if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.code === "Enter") this.act(this.phase === "ready" ? "record" : "keep");
      else if (event.code in keys) this.act(keys[event.code]);
      else return;
      event.preventDefault();
    });
  }
}

window.robokata = new Cockpit();
