// A headset: while a controller's grip is held its arm repeats the hand's motion, the trigger closes the jaws.

import {placed, times} from "./matrix.js";

const TRIGGER = 0, SQUEEZE = 1, PRIMARY = 4, SECONDARY = 5;
const TABLE_BELOW_EYES_M = 0.75, TABLE_AHEAD_M = 0.75; // in "local" spaces, whose origin is at the eyes
const TABLE_HEIGHT_M = 0.8;

export class Headset {
  name = "headset";
  title = "Headset";

  constructor(app) {
    this.app = app;
    this.session = null;
    this.hands = {};
    this.before = {};
  }

  async enter() {
    const {gl} = this.app.world;
    const session = await navigator.xr.requestSession("immersive-vr", {optionalFeatures: ["local-floor"]});
    this.session = session;
    await gl.makeXRCompatible?.();
    await session.updateRenderState({baseLayer: new XRWebGLLayer(session, gl)});
    this.onFloor = true;
    this.space = await session.requestReferenceSpace("local-floor").catch(() => {
      this.onFloor = false;
      return session.requestReferenceSpace("local");
    });
    session.addEventListener("end", () => {
      this.session = null;
      this.hands = {};
      this.app.choose("keyboard");
    });
    this.app.choose("headset");
    session.requestAnimationFrame((time, frame) => this.each(frame));
  }

  each(frame) {
    if (!this.session) return;
    this.session.requestAnimationFrame((time, next) => this.each(next));
    this.look(frame);
    this.draw(frame);
    this.app.tick(); // at the headset's own rate: each of its poses goes out once
  }

  look(frame) {
    const seen = {};
    for (const source of this.session.inputSources) {
      const arm = this.armOf(source.handedness);
      if (!arm || !source.gripSpace || seen[arm]) continue;
      const pose = frame.getPose(source.gripSpace, this.space); // null while tracking is lost: then nothing is sent
      if (!pose) continue;
      const {position: p, orientation: q} = pose.transform, buttons = source.gamepad?.buttons ?? [];
      const value = number => buttons[number]?.value ?? 0;
      seen[arm] = {
        kind: "pose", frame: "headset", values: [p.x, p.y, p.z, q.x, q.y, q.z, q.w],
        clutch: value(SQUEEZE) > 0.5, opening: value(TRIGGER) > 0.5 ? 0 : 1,
      };
      this.press(source.handedness, buttons);
    }
    this.hands = seen;
  }

  press(hand, buttons) {
    const down = [PRIMARY, SECONDARY].map(number => buttons[number]?.pressed ?? false), before = this.before[hand] ?? [];
    if (down[0] && !before[0]) this.app.act(this.app.phase === "ready" ? "record" : "keep");
    if (down[1] && !before[1]) this.app.act("discard");
    this.before[hand] = down;
  }

  armOf(hand) {
    const names = this.app.arms.map(arm => arm.name);
    return names.length === 1 ? (hand === "right" ? names[0] : null) : names.find(name => name === hand);
  }

  draw(frame) {
    const {world, yaw_rad} = this.app, {gl} = world, layer = this.session.renderState.baseLayer;
    const viewer = frame.getViewerPose(this.space);
    if (!viewer || !layer) return;
    gl.bindFramebuffer(gl.FRAMEBUFFER, layer.framebuffer);
    world.clear();
    const c = Math.cos(yaw_rad), s = Math.sin(yaw_rad), height = this.onFloor ? TABLE_HEIGHT_M : -TABLE_BELOW_EYES_M;
    // The headset's x right, y up, z back from the world's axes, turned to where the operator looks.
    const xrFromWorld = placed([s, -c, 0, 0, 0, 1, -c, -s, 0], [0, height, -TABLE_AHEAD_M]);
    for (const view of viewer.views) {
      const port = layer.getViewport(view);
      gl.viewport(port.x, port.y, port.width, port.height);
      world.drawFrom(times(times(view.projectionMatrix, view.transform.inverse.matrix), xrFromWorld));
    }
  }

  sample() {
    return this.hands;
  }

  explain(place) {
    const text = document.createElement("p");
    text.textContent = "Hold the grip to move the arm with your hand, let go to reposition. Trigger: close the jaws. A or X: record, keep. B or Y: discard. Each hand has its arm.";
    const enter = Object.assign(document.createElement("button"), {id: "enter-vr", textContent: "Enter VR", disabled: true});
    const why = Object.assign(document.createElement("p"), {textContent: ""});
    const link = Object.assign(document.createElement("button"), {id: "hand-over", textContent: "Link for the headset"});
    navigator.xr?.isSessionSupported("immersive-vr").then(is => (enter.disabled = !is));
    enter.addEventListener("click", () => this.enter().catch(error => (why.textContent = `No session: ${error.message}`)));
    link.addEventListener("click", async () => {
      const answer = await fetch("/link", {method: "POST"});
      why.textContent = answer.ok ? `Opens once, and takes over driving: ${(await answer.json()).url}` : "Only who drives can hand over.";
    });
    place.append(text, enter, document.createTextNode(" "), link, why);
    if (!isSecureContext) why.textContent = "Headsets need a secure page: start with --host 0.0.0.0 and open its https link there.";
  }
}
