// The page: one app that knows the scene, the devices that command it, and what is shown of it.

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
const made = (tag, properties = {}, ...children) => {
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
      hello: said => this.greeted(said), status: said => this.told(said), state: said => this.moved(said),
      geoms: numbers => this.world.setPoses(numbers), picture: picture => this.pictured(picture),
      closed: () => this.lost(), open: () => $("role").classList.remove("off"),
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

  // -- what is commanded ------------------------------------------------------------------------------------------

  tick() {
    if (!this.status.drives || !this.arms.length) return;
    const said = document.hidden && !this.devices.headset.session ? {} : this.devices[this.device].sample();
    for (const {name} of this.arms)
      // An arm that nobody moves says so: silence would read as a lost connection.
      this.link.command(name, this.device, said[name] ?? {kind: "twist", values: REST, enabled: false});
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

  // -- what is heard ----------------------------------------------------------------------------------------------

  greeted(said) {
    this.arms = said.arms;
    this.arm ??= said.arms[0].name;
    this.yaw_rad = said.operator_yaw_rad;
    this.bounds = said.bounds;
    this.hello = said;
    $("robot").textContent = `${said.robot.replaceAll("_", " ")} · ${said.width}`;
    document.title = `${said.instruction} · Robokata`;
    this.world.setScene(said.geoms, said.operator_yaw_rad, said.arms.length);
    $("cameras").style.setProperty("--many", said.cameras.length);
    $("cameras").replaceChildren(...said.cameras.map((camera, number) => {
      const picture = made("img", {id: `camera-${number}`, alt: `Live picture of the ${camera.name} camera`, draggable: false});
      this.devices.mouse.listen(picture, camera);
      return made("figure", {className: "view drives"}, picture, made("figcaption", {textContent: camera.name.replaceAll("_", " ")}));
    }));
    this.showDevice();
  }

  pictured({camera, jpeg}) {
    const picture = $(`camera-${camera}`);
    if (!picture) return;
    if (this.devices.headset.session) return; // nobody looks at the page
    // A slow machine shows fewer pictures: commands go before them, and late ones are of no use.
    const now_ms = performance.now();
    if ((picture.src && !picture.complete) || now_ms - (picture.shown_ms ?? 0) < this.world.pause_ms) return;
    picture.shown_ms = now_ms;
    const before = picture.src;
    picture.src = URL.createObjectURL(jpeg);
    if (before) URL.revokeObjectURL(before);
  }

  moved(said) {
    this.commands = said.commands;
    this.openings = said.openings;
    this.action = said.action;
    this.state = said;
    this.world.commands = Object.values(said.commands);
  }

  told(said) {
    this.status = said;
    this.phase = said.phase;
    if (this.scene !== said.scene) {
      // A reset: what jaws, mouse and leader remember is of the world before.
      this.scene = said.scene;
      this.jaws.forget();
      this.devices.mouse.forget();
      if (this.device === "leader") setTimeout(() => this.leader.engage(), 100);
    }
    this.show(said);
  }

  lost() {
    this.status = {};
    $("role").textContent = "Connection lost: the robot holds";
    $("role").className = "tag off";
  }

  // -- what is shown ----------------------------------------------------------------------------------------------

  show(said) {
    const phases = {ready: "Ready", recording: "Recording", review: "Keep it?"};
    document.body.classList.toggle("recording", said.phase === "recording");
    document.body.classList.toggle("watching", !said.drives);
    $("instruction").textContent = said.instruction;
    $("phase").textContent = phases[said.phase];
    $("phase").className = `phase ${said.phase}`;
    if (said.recorded_s !== null) this.recorded_s = said.recorded_s;
    $("clock").textContent = `${(said.phase === "ready" ? 0 : this.recorded_s ?? 0).toFixed(1)} s`;
    $("record").disabled = said.phase !== "ready";
    $("keep").disabled = $("discard").disabled = said.phase === "ready";
    $("stop").disabled = said.phase !== "recording";
    for (const id of ["reset", "skip", "undo"]) $(id).disabled = said.phase !== "ready";
    $("undo").disabled ||= !said.kept;
    $("count").textContent = said.kept;
    $("done").hidden = !said.success;
    $("notice").hidden = !said.notice;
    $("notice").textContent = said.notice;
    $("notice").classList.toggle("warn", /disk|Not kept|Nothing can/.test(said.notice));
    $("cut").hidden = !said.cut.length || !said.drives;
    $("cut-text").textContent = `A crash cut ${said.cut.length === 1 ? "a recording" : `${said.cut.length} recordings`} (${said.cut.join(", ")}). Keep what there is?`;
    this.showRecordings(said.recordings);
    this.showNumbers(said);
    this.showRole(said);
  }

  showRole({drives, may_drive, watchers}) {
    const role = $("role");
    const text = drives ? (watchers > 0 ? `You drive · ${watchers} watching` : "You drive") : "You watch";
    if (role.dataset.text === text && role.classList.contains(drives ? "on" : "tag")) return;
    role.dataset.text = text;
    role.className = drives ? "tag on" : "tag";
    role.replaceChildren(text, ...(!drives && may_drive ? [made("button", {textContent: "Drive here", onclick: () => this.link.send({type: "take_over"})})] : []));
  }

  showRecordings(recordings) {
    $("recordings").replaceChildren(...[...recordings].reverse().map(({id, stage, share, why, made: result}) => {
      const name = made("span", {textContent: id.split("-").slice(1).join("-")});
      if (stage === "filming") return made("li", {}, name, made("progress", {value: share, title: "Rendering its pictures"}));
      if (stage === "failed")
        return made("li", {className: "failed"}, made("span", {textContent: why}), made("button", {className: "small", textContent: "Try again", onclick: () => this.act("retry")}));
      if (stage === "waiting") return made("li", {}, name, "waiting");
      const ended = result ? `${result.duration_s.toFixed(1)} s ${result.success ? "✓" : "–"}` : "";
      return made("li", {}, name, made("span", {className: result?.success ? "ok" : "", textContent: ended}));
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
      const tab = made("button", {textContent: title, id: `tab-${name}`, onclick: () => this.choose(name)});
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-selected", String(name === this.device));
      return tab;
    }));
    const place = $("device"), device = this.devices[this.device];
    place.replaceChildren();
    if (this.arms.length > 1 && !["leader", "headset"].includes(this.device))
      place.append(made("div", {className: "arms"}, ...this.arms.map(({name}) => {
        const choice = made("button", {textContent: `${name} arm`, onclick: () => { if (this.arm !== name) this.nextArm(); }});
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
