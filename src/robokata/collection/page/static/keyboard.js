// Keys: held ones move the chosen arm, space works its jaws.

import {twist} from "./motion.js";

const MOVES = {
  KeyW: [0, 1], KeyS: [0, -1], KeyA: [1, 1], KeyD: [1, -1], KeyR: [2, 1], KeyF: [2, -1], // forward, left, up
  KeyJ: [3, -1], KeyL: [3, 1], KeyK: [4, -1], KeyI: [4, 1], KeyQ: [5, 1], KeyE: [5, -1], // roll, pitch, yaw
};
const FINE_SHARE = 0.25;

export class Keyboard {
  name = "keyboard";
  title = "Keys";

  constructor(app) {
    this.app = app;
    this.held = new Set();
    this.isFine = false;
    addEventListener("keydown", event => this.pressed(event));
    addEventListener("keyup", event => {
      this.held.delete(event.code);
      this.isFine = event.shiftKey;
    });
    // A key that is released in another window is never heard of: nothing may stay pressed.
    addEventListener("blur", () => this.held.clear());
    document.addEventListener("visibilitychange", () => this.held.clear());
  }

  pressed(event) {
    const typing = event.target instanceof HTMLInputElement && event.target.type !== "range";
    if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
    this.isFine = event.shiftKey;
    if (event.code in MOVES) {
      this.held.add(event.code);
      this.app.choose("keyboard");
    } else if (event.code === "Space") {
      if (!event.repeat) {
        this.app.jaws.toggle(this.app.arm);
        if (this.app.device !== "keyboard" && this.app.device !== "mouse") this.app.choose("keyboard");
      }
    } else if (event.code === "Tab" && this.app.arms.length > 1) {
      this.app.nextArm();
    } else {
      return;
    }
    event.preventDefault();
  }

  sample() {
    const parts = [0, 0, 0, 0, 0, 0];
    for (const code of this.held) parts[MOVES[code][0]] += MOVES[code][1];
    const values = twist(parts.slice(0, 3), parts.slice(3), this.app.yaw_rad, this.isFine ? FINE_SHARE : 1);
    return {[this.app.arm]: {kind: "twist", values, opening: this.app.opening(this.app.arm)}};
  }

  explain(place) {
    const keys = [
      ["W", "forward"], ["S", "back"], ["A", "left"], ["D", "right"], ["R", "up"], ["F", "down"],
      ["Q", "turn left"], ["E", "turn right"], ["I", "tilt down"], ["K", "tilt up"], ["J", "roll left"], ["L", "roll right"],
      ["Space", "jaws"], ["Shift", "slower"], ...(this.app.arms.length > 1 ? [["Tab", "other arm"]] : []),
    ];
    const list = document.createElement("div");
    list.className = "keys";
    for (const [key, does] of keys) {
      const cap = document.createElement("kbd"), word = document.createElement("span");
      cap.textContent = key;
      word.textContent = does;
      list.append(cap, word);
    }
    place.append(list);
  }
}
