// What keys and sticks share: motion of one arm in the operator's axes, and jaws that open and close.

import {turned} from "./matrix.js";

export const SPEED_M_S = 0.22, TURN_RAD_S = 0.9;
const JAWS_PER_S = 4; // fully closed in a quarter of a second: a person sees it happen

export class Jaws {
  constructor() {
    this.wanted = {};
    this.now = {};
    this.last_ms = {};
  }

  toggle(arm) {
    this.wanted[arm] = (this.wanted[arm] ?? 1) > 0.5 ? 0 : 1;
  }

  set(arm, opening) {
    this.wanted[arm] = opening;
  }

  // The opening to command now; null where nobody has touched these jaws.
  opening(arm, measured) {
    if (this.wanted[arm] === undefined) return null;
    const now_ms = performance.now(), most = JAWS_PER_S * (now_ms - (this.last_ms[arm] ?? now_ms)) / 1000;
    this.last_ms[arm] = now_ms;
    const here = this.now[arm] ?? Math.min(1, Math.max(0, measured ?? 1));
    this.now[arm] = here + Math.min(most, Math.max(-most, this.wanted[arm] - here));
    return this.now[arm];
  }

  forget() {
    this.wanted = {};
    this.now = {};
    this.last_ms = {};
  }
}

// Linear and angular parts, each -1..1 in the operator's axes, as a twist in the world.
export function twist(linear, angular, yaw_rad, share = 1) {
  const cap = vector => {
    const length = Math.hypot(...vector);
    return length > 1 ? vector.map(each => each / length) : vector;
  };
  const move = turned(cap(linear), yaw_rad).map(each => each * SPEED_M_S * share);
  const turn = turned(cap(angular), yaw_rad).map(each => each * TURN_RAD_S * share);
  return [...move, ...turn];
}
