// A gamepad with the standard layout: sticks move, triggers work the jaws, buttons record.

import {twist} from "./motion.js";

const DEAD_SHARE = 0.12; // sticks rest up to a tenth from their middle
const [A, B, X, Y, LB, RB, LT, RT, BACK, START, LS, RS, UP, DOWN] = [...Array(14).keys()];
const beyond = value => (Math.abs(value) < DEAD_SHARE ? 0 : (value - Math.sign(value) * DEAD_SHARE) / (1 - DEAD_SHARE));

export class Gamepad {
  name = "gamepad";
  title = "Gamepad";

  constructor(app) {
    this.app = app;
    this.before = [];
  }

  get pad() {
    return [...(navigator.getGamepads?.() ?? [])].find(pad => pad?.connected && pad.axes.length >= 4) ?? null;
  }

  // Moving a stick chooses the gamepad: nobody wants to look for a button first.
  poll() {
    const pad = this.pad;
    if (pad && this.app.device !== "gamepad" && pad.axes.slice(0, 4).some(axis => Math.abs(axis) > 0.5)) this.app.choose("gamepad");
  }

  sample() {
    const pad = this.pad, {app} = this;
    if (!pad) return {};
    const value = number => pad.buttons[number]?.value ?? 0, isDown = number => pad.buttons[number]?.pressed ?? false;
    const presses = number => isDown(number) && !this.before[number];
    if (presses(A)) app.act(app.phase === "ready" ? "record" : "keep");
    if (presses(B)) app.act("discard");
    if (presses(X)) app.act("reset");
    if (presses(Y)) app.nextArm();
    this.before = pad.buttons.map(button => button.pressed);
    const [left, forward, right, up] = pad.axes.map(beyond);
    const linear = [-forward, -left, -up];
    const angular = [value(RB) - value(LB), value(UP) - value(DOWN), -right];
    if (value(RT) > 0.05 || app.jaws.wanted[app.arm] !== undefined) app.jaws.set(app.arm, 1 - value(RT));
    return {[app.arm]: {kind: "twist", values: twist(linear, angular, app.yaw_rad), opening: app.opening(app.arm)}};
  }

  explain(place) {
    const text = document.createElement("p"), state = document.createElement("p");
    text.textContent = "Left stick: forward, left. Right stick: up, turn. LB RB: roll. Pad up, down: tilt. RT: jaws. A: record, keep. B: discard. X: reset. Y: other arm.";
    state.id = "gamepad";
    state.textContent = this.pad ? `Connected: ${this.pad.id}` : "None is connected: press one of its buttons.";
    place.append(text, state);
  }
}
