// The robot and its world in three dimensions: primitives at the poses that the loop streams, in WebGL.

import {identity, lookingAt, perspective, placed, posed, scaled, times, unit} from "./matrix.js";
import {cornersOf} from "./shapes.js";

const VERTEX = `#version 300 es
layout(location = 0) in vec3 corner; layout(location = 1) in vec3 normal;
uniform mat4 clipFromWorld, worldFromShape;
out vec3 at, facing;
void main() {
  vec4 world = worldFromShape * vec4(corner, 1.0);
  at = world.xyz; facing = mat3(worldFromShape) * normal; gl_Position = clipFromWorld * world;
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec3 at, facing; uniform vec4 colour; uniform bool isFloor, isBright; out vec4 shown;
void main() {
  vec3 n = normalize(facing);
  float sky = 0.5 + 0.5 * n.z, sun = max(dot(n, normalize(vec3(-0.4, -0.5, 0.8))), 0.0);
  vec3 lit = isBright ? colour.rgb : colour.rgb * (0.30 + 0.30 * sky + 0.55 * sun);
  if (isFloor) {
    vec2 cell = abs(fract(at.xy * 10.0 - 0.5) - 0.5) / fwidth(at.xy * 10.0);
    float line = 1.0 - min(min(cell.x, cell.y), 1.0), far = smoothstep(0.35, 1.6, length(at.xy));
    lit = mix(mix(vec3(0.125, 0.143, 0.172), vec3(0.20, 0.225, 0.265), line), vec3(0.051, 0.059, 0.075), far);
  }
  shown = vec4(lit, colour.a);
}`;
const AXES = [[[0.94, 0.42, 0.37, 1], 0], [[0.44, 0.77, 0.60, 1], 1], [[0.50, 0.70, 0.90, 1], 2]];

export class World {
  constructor(canvas) {
    this.canvas = canvas;
    const gl = (this.gl = canvas.getContext("webgl2", {antialias: true, xrCompatible: true, alpha: false}));
    this.parts = [];
    this.pause_ms = 0;
    this.commands = [];
    this.eye = {yaw: 0, pitch: 0.5, away: 1.75, at: [-0.1, 0, 0.2]};
    if (!gl) return;
    const program = (this.program = gl.createProgram());
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    this.at = Object.fromEntries(
      ["clipFromWorld", "worldFromShape", "colour", "isFloor", "isBright"].map(n => [n, gl.getUniformLocation(program, n)]));
    this.axis = this.mesh(cornersOf({shape: "box", size: [0.03, 0.0012, 0.0012]}));
    this.listen();
  }

  setScene(geoms, yaw_rad, arms) {
    this.parts = geoms.map(geom => ({...geom, mesh: this.gl && this.mesh(cornersOf(geom)), pose: identity()}));
    // Behind the operator's shoulder: what is left for the hand is left on the screen.
    Object.assign(this.eye, {yaw: yaw_rad + Math.PI + (arms > 1 ? 0.2 : 0.75), away: arms > 1 ? 2.1 : 1.75, at: arms > 1 ? [0, 0, 0.1] : this.eye.at});
  }

  // At most 30 times a second, less where this machine is slow: commands go before pictures.
  drawIfDue(now_ms) {
    const gap_ms = now_ms - (this.before_ms ?? now_ms);
    this.before_ms = now_ms;
    this.slowness = 0.9 * (this.slowness ?? 16) + 0.1 * Math.min(gap_ms, 500);
    this.pause_ms = Math.max(0, 6 * (this.slowness - 24)); // 24 ms: between two frames of a screen that keeps up
    if (now_ms - (this.drawn_ms ?? 0) < Math.max(30, this.pause_ms)) return;
    this.drawn_ms = now_ms;
    this.draw();
  }

  // Every geom's position (3) and rotation (9), by its number in the model.
  setPoses(numbers) {
    for (const part of this.parts) {
      const base = part.number * 12;
      if (base + 12 <= numbers.length)
        part.pose = placed(numbers.subarray(base + 3, base + 12), numbers.subarray(base, base + 3));
    }
  }

  mesh(corners) {
    const gl = this.gl, vertices = gl.createVertexArray();
    gl.bindVertexArray(vertices);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    for (const [location, offset] of [[0, 0], [1, 12]]) {
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, 3, gl.FLOAT, false, 24, offset);
    }
    return {vertices, count: corners.length / 6};
  }

  draw() {
    const {canvas, gl} = this;
    if (!gl) return;
    const dense = Math.min(devicePixelRatio, 2);
    const width = Math.round(canvas.clientWidth * dense), height = Math.round(canvas.clientHeight * dense);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    this.clear();
    gl.viewport(0, 0, width, height);
    const {yaw, pitch, away, at} = this.eye;
    const toward = [Math.cos(pitch) * Math.cos(yaw), Math.cos(pitch) * Math.sin(yaw), Math.sin(pitch)];
    const eye = at.map((each, index) => each + away * toward[index]);
    this.drawFrom(times(perspective(0.75, width / Math.max(1, height), 0.01, 20), lookingAt(eye, at)));
  }

  clear() {
    const gl = this.gl;
    gl.clearColor(0.051, 0.059, 0.075, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  }

  drawFrom(clipFromWorld) {
    const {gl, at} = this;
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.program);
    gl.uniformMatrix4fv(at.clipFromWorld, false, clipFromWorld);
    gl.uniform1i(at.isBright, 0);
    for (const part of this.parts) {
      gl.uniform1i(at.isFloor, part.shape === "plane" ? 1 : 0);
      this.put(part.mesh, part.pose, part.rgba);
    }
    gl.uniform1i(at.isFloor, 0);
    gl.uniform1i(at.isBright, 1);
    for (const command of this.commands) this.drawFrame(posed(command));
  }

  // Where a tip is commanded to be: x red, y green, z blue.
  drawFrame(pose) {
    for (const [colour, axis] of AXES) {
      const turn = [0, 1, 2].map(row => [0, 1, 2].map(column => (row === (column + axis) % 3 ? 1 : 0))).flat();
      const shift = [0, 0, 0];
      shift[axis] = 0.03;
      this.put(this.axis, times(pose, placed(turn, shift)), colour);
    }
  }

  put(mesh, pose, colour) {
    const {gl, at} = this;
    gl.uniformMatrix4fv(at.worldFromShape, false, pose);
    gl.uniform4fv(at.colour, colour);
    gl.bindVertexArray(mesh.vertices);
    gl.drawArrays(gl.TRIANGLES, 0, mesh.count);
  }

  listen() {
    const {canvas, eye} = this;
    canvas.addEventListener("pointerdown", event => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", event => {
      if (!event.buttons) return;
      if (event.buttons === 1 && !event.shiftKey) {
        eye.yaw -= event.movementX * 0.006;
        eye.pitch = Math.min(1.5, Math.max(-0.1, eye.pitch + event.movementY * 0.006));
      } else {
        const right = unit([-Math.sin(eye.yaw), Math.cos(eye.yaw), 0]);
        const by = scaled(right, -event.movementX * 0.0015 * eye.away);
        eye.at = [eye.at[0] + by[0], eye.at[1] + by[1], eye.at[2] + event.movementY * 0.0015 * eye.away];
      }
    });
    canvas.addEventListener("wheel", event => {
      event.preventDefault();
      eye.away = Math.min(4, Math.max(0.25, eye.away * Math.exp(event.deltaY * 0.001)));
    }, {passive: false});
    canvas.addEventListener("contextmenu", event => event.preventDefault());
  }
}
