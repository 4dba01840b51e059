// The mouse on a camera's picture: dragging moves the tip in the picture's plane, the wheel along the view.

import {added, scaled, turned} from "./matrix.js";

const METRES_PER_WIDTH = 0.5, METRES_PER_NOTCH = 0.01, RAD_PER_WIDTH = 3;

export class Mouse {
  name = "mouse";
  title = "Mouse";

  constructor(app) {
    this.app = app;
    this.goal = null;
  }

  listen(picture, camera) {
    picture.addEventListener("pointerdown", event => {
      picture.setPointerCapture(event.pointerId);
      this.app.choose("mouse");
      this.begin();
      event.preventDefault();
    });
    picture.addEventListener("pointermove", event => {
      if (!event.buttons || this.app.device !== "mouse" || !this.goal) return;
      const across = event.movementX / picture.clientWidth, down = event.movementY / picture.clientWidth;
      const [right, up] = this.axes(camera);
      if (event.buttons === 1) this.move(added(scaled(right, across * METRES_PER_WIDTH), scaled(up, -down * METRES_PER_WIDTH)));
      else this.turn(across * RAD_PER_WIDTH);
    });
    picture.addEventListener("wheel", event => {
      event.preventDefault();
      this.app.choose("mouse");
      if (!this.goal) this.begin();
      this.move(scaled(this.axes(camera)[2], Math.sign(event.deltaY) * METRES_PER_NOTCH));
    }, {passive: false});
    picture.addEventListener("dblclick", () => this.app.jaws.toggle(this.app.arm));
    picture.addEventListener("contextmenu", event => event.preventDefault());
  }

  // Right, up and backward of the picture in the world; a camera that moves with the arm has the operator's.
  axes({turn, is_fixed}) {
    if (is_fixed) return [0, 1, 2].map(column => [turn[column], turn[3 + column], turn[6 + column]]);
    return [[0, -1, 0], [0, 0, 1], [-1, 0, 0]].map(axis => turned(axis, this.app.yaw_rad));
  }

  begin() {
    const command = this.app.commands[this.app.arm];
    this.goal = command ? command.slice(0, 7) : null;
    this.owner = this.app.arm;
  }

  move(by) {
    const [low, high] = this.app.bounds;
    for (let axis = 0; axis < 3; axis++) this.goal[axis] = Math.min(high[axis], Math.max(low[axis], this.goal[axis] + by[axis]));
  }

  // About the vertical: the world's z, on the left of what was commanded.
  turn(by_rad) {
    const [qx, qy, qz, qw] = this.goal.slice(3), c = Math.cos(by_rad / 2), s = Math.sin(by_rad / 2);
    this.goal.splice(3, 4, c * qx - s * qy, c * qy + s * qx, c * qz + s * qw, c * qw - s * qz);
  }

  forget() {
    this.goal = null;
  }

  sample() {
    const {arm} = this.app;
    if (this.owner !== arm || !this.goal) return {[arm]: {kind: "twist", values: [0, 0, 0, 0, 0, 0], opening: this.app.opening(arm)}};
    return {[arm]: {kind: "pose", values: this.goal, opening: this.app.opening(arm)}};
  }

  explain(place) {
    const text = document.createElement("p");
    text.textContent = "Drag on a camera's picture to move in its plane, wheel to move along the view, drag with the right button to turn. Double click or space: jaws.";
    place.append(text);
  }
}
