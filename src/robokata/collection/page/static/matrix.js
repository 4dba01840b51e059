// 4x4 matrices, column by column, as WebGL takes them.

export const identity = () => new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);

export function times(a, b) {
  const out = new Float32Array(16);
  for (let column = 0; column < 4; column++)
    for (let row = 0; row < 4; row++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += a[k * 4 + row] * b[column * 4 + k];
      out[column * 4 + row] = sum;
    }
  return out;
}

export function perspective(fovy_rad, aspect, near_m, far_m) {
  const f = 1 / Math.tan(fovy_rad / 2), out = new Float32Array(16);
  out[0] = f / aspect;
  out[5] = f;
  out[10] = (far_m + near_m) / (near_m - far_m);
  out[11] = -1;
  out[14] = (2 * far_m * near_m) / (near_m - far_m);
  return out;
}

// eye_from_world of an eye that looks at a point, with z up.
export function lookingAt(eye, at) {
  const back = unit([eye[0] - at[0], eye[1] - at[1], eye[2] - at[2]]);
  const right = unit(cross([0, 0, 1], back)), up = cross(back, right);
  return new Float32Array([
    right[0], up[0], back[0], 0, right[1], up[1], back[1], 0, right[2], up[2], back[2], 0,
    -dot(right, eye), -dot(up, eye), -dot(back, eye), 1,
  ]);
}

// A rotation given row by row (9) and a position (3).
export function placed(turn, at) {
  return new Float32Array([
    turn[0], turn[3], turn[6], 0, turn[1], turn[4], turn[7], 0, turn[2], turn[5], turn[8], 0, at[0], at[1], at[2], 1,
  ]);
}

// x y z and quaternion x y z w.
export function posed([x, y, z, qx, qy, qz, qw]) {
  const turn = [
    1 - 2 * (qy * qy + qz * qz), 2 * (qx * qy - qz * qw), 2 * (qx * qz + qy * qw),
    2 * (qx * qy + qz * qw), 1 - 2 * (qx * qx + qz * qz), 2 * (qy * qz - qx * qw),
    2 * (qx * qz - qy * qw), 2 * (qy * qz + qx * qw), 1 - 2 * (qx * qx + qy * qy),
  ];
  return placed(turn, [x, y, z]);
}

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const scaled = (a, by) => a.map(each => each * by);
export const added = (a, b) => a.map((each, index) => each + b[index]);
export function unit(a) {
  const length = Math.hypot(...a) || 1;
  return scaled(a, 1 / length);
}
// A vector of the operator (x forward, y left, z up) in the world.
export function turned([x, y, z], yaw_rad) {
  const c = Math.cos(yaw_rad), s = Math.sin(yaw_rad);
  return [c * x - s * y, s * x + c * y, z];
}
